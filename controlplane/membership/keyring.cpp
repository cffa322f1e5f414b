#include "controlplane/membership/keyring.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>

#include "sluice/base/random.hpp"

namespace sluice::membership {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const EVP_CIPHER* cipher_for(std::size_t key_bytes) noexcept {
  switch (key_bytes) {
    case 16:
      return EVP_aes_128_gcm();
    case 24:
      return EVP_aes_192_gcm();
    default:
      return EVP_aes_256_gcm();
  }
}

}  // namespace

Result<Key> Key::from_bytes(ByteView bytes) {
  if (bytes.size() != 16 && bytes.size() != 24 && bytes.size() != 32) {
    return fail(ErrorCode::kInvalidArgument,
                "a key has 16, 24 or 32 bytes, not " + std::to_string(bytes.size()));
  }
  Key key;
  key.size_ = bytes.size();
  std::copy(bytes.begin(), bytes.end(), key.bytes_.begin());
  return key;
}

Result<Key> Key::from_base64(std::string_view text) {
  // OpenSSL's decoder overlooks blanks and counts padding as bytes: only the strict form goes in.
  const auto bad = [] { return fail(ErrorCode::kInvalidArgument, "a key is written in base64"); };
  if (text.empty() || text.size() % 4 != 0 || text.size() > 64) return bad();
  const auto padding = static_cast<std::size_t>(std::count(text.end() - 2, text.end(), '='));
  const auto digits = text.substr(0, text.size() - padding);
  const bool fine = std::all_of(digits.begin(), digits.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  });
  if (!fine) return bad();
  std::array<std::uint8_t, 48> bytes{};
  const int count =
      EVP_DecodeBlock(bytes.data(), reinterpret_cast<const std::uint8_t*>(text.data()),
                      static_cast<int>(text.size()));
  if (count < 0) return bad();
  auto key = from_bytes(ByteView(bytes).first(static_cast<std::size_t>(count) - padding));
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

Key Key::random() {
  auto bytes = random_bytes<32>();
  Key key;
  key.size_ = bytes.size();
  key.bytes_ = bytes;
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

Key::~Key() {
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

std::string Key::to_base64() const {
  std::string text(45, '\0');
  const int count = EVP_EncodeBlock(reinterpret_cast<std::uint8_t*>(text.data()), bytes_.data(),
                                    static_cast<int>(size_));
  text.resize(static_cast<std::size_t>(count));
  return text;
}

std::string Key::fingerprint() const {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(bytes_.data(), size_, digest.data());
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < 6; ++i) {
    text.push_back(kHex[digest[i] >> 4]);
    text.push_back(kHex[digest[i] & 15]);
  }
  return text;
}

bool operator==(const Key& a, const Key& b) noexcept {
  return a.size_ == b.size_ && CRYPTO_memcmp(a.bytes_.data(), b.bytes_.data(), a.size_) == 0;
}

// The key schedule is made once per key and direction; a message only sets its nonce.
struct Keyring::Slot {
  explicit Slot(const Key& of) : key(of) {}

  bool prepare() noexcept {
    encrypt.reset(EVP_CIPHER_CTX_new());
    decrypt.reset(EVP_CIPHER_CTX_new());
    const auto* cipher = cipher_for(key.bytes().size());
    const auto* bytes = key.bytes().data();
    return encrypt && decrypt &&
           EVP_EncryptInit_ex(encrypt.get(), cipher, nullptr, bytes, nullptr) == 1 &&
           EVP_DecryptInit_ex(decrypt.get(), cipher, nullptr, bytes, nullptr) == 1;
  }

  Key key;
  Context encrypt;
  Context decrypt;
};

Keyring::Keyring() = default;
Keyring::Keyring(Keyring&&) noexcept = default;
Keyring& Keyring::operator=(Keyring&&) noexcept = default;
Keyring::~Keyring() = default;

Result<Keyring> Keyring::create(const Key& primary) {
  Keyring ring;
  if (auto added = ring.add(primary); !added) return std::unexpected(added.error());
  return ring;
}

Status Keyring::add(const Key& key) {
  for (const auto& slot : slots_)
    if (slot->key == key) return {};
  if (slots_.size() == kMaxKeys) {
    return fail(ErrorCode::kExhausted, "there are " + std::to_string(kMaxKeys) +
                                           " keys already; remove those no longer used");
  }
  std::erase_if(removed_, [&](const auto& slot) { return slot->key == key; });
  auto slot = std::make_unique<Slot>(key);
  if (!slot->prepare()) return fail(ErrorCode::kInternal, "AES-GCM is not available");
  slots_.push_back(std::move(slot));
  return {};
}

Status Keyring::use(const Key& key) {
  const auto at = std::find_if(slots_.begin(), slots_.end(),
                               [&](const auto& slot) { return slot->key == key; });
  if (at == slots_.end()) {
    return fail(ErrorCode::kNotFound, "key " + key.fingerprint() + " is not on the ring; add it");
  }
  std::rotate(slots_.begin(), at, at + 1);
  return {};
}

Status Keyring::remove(const Key& key) {
  if (slots_.front()->key == key) {
    return fail(ErrorCode::kInvalidArgument,
                "key " + key.fingerprint() + " is in use; use another one first");
  }
  const auto at = std::ranges::find_if(slots_, [&](const auto& slot) { return slot->key == key; });
  if (at == slots_.end()) return {};
  removed_.push_back(std::move(*at));
  slots_.erase(at);
  return {};
}

void Keyring::forget_removed() noexcept {
  removed_.clear();
}

std::vector<Key> Keyring::keys() const {
  std::vector<Key> keys;
  for (const auto& slot : slots_)
    keys.push_back(slot->key);
  return keys;
}

bool Keyring::seal(const Nonce& nonce, ByteView aad, ByteView plain, Bytes& out) {
  auto* context = slots_.front()->encrypt.get();
  const auto start = out.size();
  out.resize(start + plain.size() + kTagBytes);
  auto* at = out.data() + start;
  int written = 0;
  int ignored = 0;
  const bool done =
      EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
      (aad.empty() || EVP_EncryptUpdate(context, nullptr, &ignored, aad.data(),
                                        static_cast<int>(aad.size())) == 1) &&
      EVP_EncryptUpdate(context, at, &written, plain.data(), static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(context, at + written, &ignored) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kTagBytes, at + plain.size()) == 1;
  if (!done) out.resize(start);
  return done;
}

bool Keyring::open_with(Slot& slot, const Nonce& nonce, ByteView aad, ByteView sealed,
                        std::uint8_t* out) noexcept {
  auto* context = slot.decrypt.get();
  const auto text = sealed.first(sealed.size() - kTagBytes);
  std::array<std::uint8_t, kTagBytes> tag;
  std::copy(sealed.end() - kTagBytes, sealed.end(), tag.begin());
  int written = 0;
  int ignored = 0;
  return EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
         (aad.empty() || EVP_DecryptUpdate(context, nullptr, &ignored, aad.data(),
                                           static_cast<int>(aad.size())) == 1) &&
         EVP_DecryptUpdate(context, out, &written, text.data(), static_cast<int>(text.size())) ==
             1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
         EVP_DecryptFinal_ex(context, out + written, &ignored) == 1;
}

bool Keyring::open(const Nonce& nonce, ByteView aad, ByteView sealed, Bytes& out) {
  if (sealed.size() < kTagBytes) return false;
  const auto start = out.size();
  out.resize(start + sealed.size() - kTagBytes);
  for (const auto* slots : {&slots_, &removed_})
    for (const auto& slot : *slots)
      if (open_with(*slot, nonce, aad, sealed, out.data() + start)) return true;
  // What a wrong key made of it is nobody's.
  OPENSSL_cleanse(out.data() + start, out.size() - start);
  out.resize(start);
  return false;
}

}  // namespace sluice::membership
