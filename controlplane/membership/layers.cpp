#include "controlplane/membership/layers.hpp"

#include <algorithm>

#include "controlplane/membership/fields.hpp"
#include "sluice/base/random.hpp"

namespace sluice::membership {
namespace {

constexpr std::size_t kCipherBlock = 16;
// Below this size LZW with its framing never wins; most packets are such pings and acks.
constexpr std::size_t kMinCompressBytes = 96;

void append(Bytes& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// PKCS #7, RFC 5652 6.3. False: these are no padding.
bool strip_padding(Bytes& out, std::size_t start) noexcept {
  const auto length = out.size() - start;
  if (length == 0 || length % kCipherBlock != 0) return false;
  const auto padding = out.back();
  if (padding == 0 || padding > kCipherBlock) return false;
  if (!std::all_of(out.end() - padding, out.end(), [&](auto byte) { return byte == padding; }))
    return false;
  out.resize(out.size() - padding);
  return true;
}

}  // namespace

Nonce random_nonce() {
  return random_bytes<kNonceBytes>();
}

bool seal_block(Keyring& keys, CipherVersion version, const Nonce& nonce, ByteView aad,
                ByteView plain, Bytes& out) {
  const auto start = out.size();
  out.push_back(static_cast<std::uint8_t>(version));
  append(out, nonce);
  bool done = false;
  if (version == CipherVersion::kPlain) {
    done = keys.seal(nonce, aad, plain, out);
  } else {
    Bytes padded(plain.begin(), plain.end());
    const auto padding = kCipherBlock - plain.size() % kCipherBlock;
    padded.insert(padded.end(), padding, static_cast<std::uint8_t>(padding));
    done = keys.seal(nonce, aad, padded, out);
  }
  if (!done) out.resize(start);
  return done;
}

bool open_block(Keyring& keys, ByteView aad, ByteView block, Bytes& out) {
  if (block.size() < kBlockOverhead || block[0] > 1) return false;
  Nonce nonce;
  std::copy_n(block.begin() + 1, nonce.size(), nonce.begin());
  const auto start = out.size();
  if (!keys.open(nonce, aad, block.subspan(1 + kNonceBytes), out)) return false;
  if (block[0] == static_cast<std::uint8_t>(CipherVersion::kPlain)) return true;
  if (strip_padding(out, start)) return true;
  out.resize(start);
  return false;
}

std::size_t packet_overhead(const WireSettings& settings) noexcept {
  return (settings.label.empty() ? 0 : 2 + settings.label.size()) +
         (settings.encrypts() ? kMaxBlockOverhead : 0);
}

ByteView PacketLayers::compressed(ByteView packet) {
  if (!settings_.compress || packet.size() < kMinCompressBytes) return packet;
  lzw_out_.clear();
  lzw_.encode(packet, lzw_out_);
  inner_.clear();
  write_compressed(lzw_out_, inner_);
  return inner_.size() < packet.size() ? ByteView(inner_) : packet;
}

ByteView PacketLayers::seal(ByteView packet, bool checksum, CipherVersion version) {
  packet = compressed(packet);
  out_.clear();
  if (!settings_.label.empty()) {
    out_.push_back(static_cast<std::uint8_t>(MessageType::kHasLabel));
    out_.push_back(static_cast<std::uint8_t>(settings_.label.size()));
    append(out_, as_bytes(settings_.label));
  }
  const bool encrypt = settings_.encrypts();
  // What is to be encrypted has to be put together elsewhere first.
  Bytes& target = encrypt ? checked_ : out_;
  if (checksum) {
    if (encrypt) checked_.clear();
    const Big32 crc(crc32_ieee(packet));
    target.push_back(static_cast<std::uint8_t>(MessageType::kHasCrc));
    append(target, {reinterpret_cast<const std::uint8_t*>(&crc), sizeof crc});
    append(target, packet);
    packet = target;
  } else if (!encrypt) {
    append(target, packet);
  }
  if (!encrypt) return out_;
  const bool done =
      seal_block(*settings_.keyring, version, nonce_(), as_bytes(settings_.label), packet, out_);
  return done ? ByteView(out_) : ByteView{};
}

std::expected<ByteView, Malformed> PacketLayers::open(ByteView datagram) {
  if (datagram.empty()) return std::unexpected(Malformed::kEmpty);
  if (datagram[0] == static_cast<std::uint8_t>(MessageType::kHasLabel)) {
    if (datagram.size() < 2 || datagram[1] == 0 || datagram.size() < 2U + datagram[1]) {
      return std::unexpected(Malformed::kTruncated);
    }
    const auto label = datagram.subspan(2, datagram[1]);
    if (!std::ranges::equal(label, as_bytes(settings_.label))) {
      return std::unexpected(Malformed::kLabel);
    }
    datagram = datagram.subspan(2 + label.size());
    if (datagram.empty()) return std::unexpected(Malformed::kEmpty);
  } else if (!settings_.label.empty()) {
    return std::unexpected(Malformed::kLabel);
  }
  if (!settings_.keyring) return datagram;
  opened_.clear();
  if (open_block(*settings_.keyring, as_bytes(settings_.label), datagram, opened_)) {
    return opened_;
  }
  // The first bytes of plain pings look like those of a block: only the key tells them apart.
  if (settings_.verify_incoming) return std::unexpected(Malformed::kDecrypt);
  return datagram;
}

}  // namespace sluice::membership
