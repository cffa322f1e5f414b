#include "controlplane/membership/key_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <utility>

#include "controlplane/membership/fields.hpp"

namespace sluice::membership {
namespace {

constexpr std::size_t kMaxKeyFileBytes = 8192;
// Whatever can be saved can be read: every member and every lost peer that the limits admit, each
// with the longest line it can have.
constexpr std::size_t kMaxPeerLine = 10 + 1 + 64 + 1 + kMaxNameBytes + 1;
constexpr std::size_t kMaxStateFileBytes =
    (Limits{}.members + Limits{}.lost_peers) * kMaxPeerLine + 4096;
constexpr std::string_view kStateMark = "sluice-cluster 1";

std::unexpected<Error> io_error(const std::string& what, const std::string& path) {
  const auto code = errno == ENOENT   ? ErrorCode::kNotFound
                    : errno == EEXIST ? ErrorCode::kAlreadyExists
                    : errno == EACCES ? ErrorCode::kPermissionDenied
                                      : ErrorCode::kUnavailable;
  return fail(code, fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

class File {
 public:
  File(const std::string& path, int flags)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, 0600)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool ok() const noexcept { return fd_ >= 0; }
  bool is_regular() const noexcept {
    struct stat status{};
    return ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode);
  }
  bool write_all(std::string_view text) noexcept {
    while (!text.empty()) {
      const auto n = ::write(fd_, text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return ::fsync(fd_) == 0;
  }
  bool sync() const noexcept { return ::fsync(fd_) == 0; }
  bool read_all(std::string& text, std::size_t max) noexcept {
    char buffer[4096];
    while (true) {
      const auto n = ::read(fd_, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return n == 0;
      text.append(buffer, static_cast<std::size_t>(n));
      if (text.size() > max) {
        errno = EFBIG;
        return false;
      }
    }
  }

 private:
  int fd_;
};

Result<std::string> read_text(const std::string& path, std::size_t max) {
  File file(path, O_RDONLY | O_NONBLOCK);
  if (!file.ok()) return io_error("cannot open", path);
  if (!file.is_regular()) {
    return fail(ErrorCode::kInvalidArgument, path + " is not a regular file");
  }
  std::string text;
  if (!file.read_all(text, max)) return io_error("cannot read", path);
  return text;
}

Status replace_text(const std::string& path, std::string_view text) {
  const auto fresh = path + ".new";
  {
    File file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.ok()) return io_error("cannot make", fresh);
    if (!file.write_all(text)) return io_error("cannot write", fresh);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return io_error("cannot replace", path);
  // The name, too, must outlast a power cut: others rely on the keys that we say we have.
  const auto slash = path.rfind('/');
  const File folder(slash == std::string::npos ? "." : path.substr(0, slash + 1),
                    O_RDONLY | O_DIRECTORY);
  if (!folder.ok() || !folder.sync()) return io_error("cannot write the folder of", path);
  return {};
}

// Calls line(text, number) for each; false stops.
template <class Line>
bool for_each_line(std::string_view text, Line&& line) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    if (!line(text.substr(0, end), number)) return false;
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return true;
}

std::string keys_text(const std::vector<Key>& keys) {
  std::string text =
      "# Keys of the cluster, the one in use first. Made by sluice; keep them secret.\n";
  for (const auto& key : keys)
    text += key.to_base64() + "\n";
  return text;
}

// Comments to whoever only wants the keys.
constexpr std::string_view kOrderMark = "# order ";

std::string dates_text(const std::vector<KeyDate>& dates) {
  std::string text;
  for (const auto& date : dates) {
    text += fmt::format("{}{} {} {}\n", kOrderMark, static_cast<int>(date.step), date.fingerprint,
                        date.given_ns);
  }
  return text;
}

template <class T>
bool parse_number(std::string_view text, T& value) {
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && at == text.data() + text.size();
}

// "<incarnation> <endpoint> <name>"; the name may hold blanks.
std::optional<SavedState::Peer> parse_peer(std::string_view text) {
  const auto first = text.find(' ');
  if (first == std::string_view::npos) return std::nullopt;
  const auto second = text.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  SavedState::Peer peer;
  const auto endpoint = parse_endpoint(text.substr(first + 1, second - first - 1));
  peer.name = text.substr(second + 1);
  if (!parse_number(text.substr(0, first), peer.incarnation) || !endpoint || !is_name(peer.name)) {
    return std::nullopt;
  }
  peer.address = *endpoint;
  return peer;
}

}  // namespace

Result<std::vector<Key>> load_keys(const std::string& path) {
  auto text = read_text(path, kMaxKeyFileBytes);
  if (!text) return std::unexpected(text.error());
  std::vector<Key> keys;
  std::optional<Error> wrong;
  for_each_line(*text, [&](std::string_view line, std::size_t number) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
      line.remove_suffix(1);
    if (line.empty() || line.front() == '#') return true;
    auto key = Key::from_base64(line);
    if (key) {
      keys.push_back(*key);
    } else {
      wrong = std::move(key.error()).within(fmt::format("{}:{}", path, number));
    }
    return !wrong;
  });
  OPENSSL_cleanse(text->data(), text->size());
  if (wrong) return std::unexpected(*wrong);
  if (keys.empty()) return fail(ErrorCode::kInvalidArgument, path + " holds no key");
  return keys;
}

std::vector<KeyDate> load_key_dates(const std::string& path) {
  std::vector<KeyDate> dates;
  auto text = read_text(path, kMaxKeyFileBytes);
  if (!text) return dates;
  for_each_line(*text, [&](std::string_view line, std::size_t) {
    if (!line.starts_with(kOrderMark)) return true;
    line.remove_prefix(kOrderMark.size());
    const auto first = line.find(' ');
    const auto second = line.find(' ', first + 1);
    int step = 0;
    KeyDate date;
    if (first != std::string_view::npos && second != std::string_view::npos &&
        parse_number(line.substr(0, first), step) && step >= 1 && step <= 3 &&
        parse_number(line.substr(second + 1), date.given_ns)) {
      date.step = static_cast<KeyStep>(step);
      date.fingerprint = line.substr(first + 1, second - first - 1);
      dates.push_back(std::move(date));
    }
    return dates.size() < KeyOrderFilter::kMost;
  });
  OPENSSL_cleanse(text->data(), text->size());
  return dates;
}

Status save_keys(const std::string& path, const std::vector<Key>& keys,
                 const std::vector<KeyDate>& dates) {
  auto text = keys_text(keys) + dates_text(dates);
  auto saved = replace_text(path, text);
  OPENSSL_cleanse(text.data(), text.size());
  return saved;
}

Status create_keys(const std::string& path, const std::vector<Key>& keys) {
  auto text = keys_text(keys);
  File file(path, O_WRONLY | O_CREAT | O_EXCL);
  if (!file.ok()) return io_error("cannot make", path);
  const bool written = file.write_all(text);
  OPENSSL_cleanse(text.data(), text.size());
  if (written) return {};
  return io_error("cannot write", path);
}

Result<Keyring> keyring_of(const std::vector<Key>& keys) {
  auto ring = Keyring::create(keys.at(0));
  for (std::size_t i = 1; ring && i < keys.size(); ++i) {
    if (auto added = ring->add(keys[i]); !added) return std::unexpected(added.error());
  }
  return ring;
}

Result<SavedState> load_state(const std::string& path) {
  auto text = read_text(path, kMaxStateFileBytes);
  if (!text) {
    if (text.error().code() == ErrorCode::kNotFound) return SavedState{};
    return std::unexpected(text.error());
  }
  SavedState state;
  const bool good = for_each_line(*text, [&](std::string_view line, std::size_t number) {
    if (number == 1) return line == kStateMark;
    if (number == 2) return parse_number(line, state.incarnation);
    auto peer = parse_peer(line);
    if (peer) state.peers.push_back(std::move(*peer));
    return peer.has_value();
  });
  if (good && !text->empty()) return state;
  return fail(ErrorCode::kCorrupt, path + " is not a saved cluster state");
}

SavedState load_state_or_set_aside(const std::string& path,
                                   const std::function<void(const std::string& line)>& on_log) {
  auto state = load_state(path);
  if (state) return std::move(*state);
  const auto aside = path + std::string(kAsideSuffix);
  const bool moved = ::rename(path.c_str(), aside.c_str()) == 0;
  on_log(fmt::format(
      "event=cluster_state_unreadable error=\"{}\" kept_as=\"{}\" effect=\"the "
      "cluster is found through cluster.join only\"",
      state.error().message(), moved ? aside : fmt::format("{} ({})", path, std::strerror(errno))));
  return {};
}

Status save_state(const std::string& path, const SavedState& state) {
  std::string text = fmt::format("{}\n{}\n", kStateMark, state.incarnation);
  for (const auto& peer : state.peers) {
    text += fmt::format("{} {} {}\n", peer.incarnation, to_string(peer.address), peer.name);
  }
  return replace_text(path, text);
}

}  // namespace sluice::membership
