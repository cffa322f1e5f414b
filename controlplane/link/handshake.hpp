// Connecting to the dataplane: socket, Hello, Welcome, descriptors, mappings. Everything the other
// side hands over is checked before it is used, so that a wrong build or a hostile peer ends in an
// error, not in a fault. Called by the link only.
#pragma once

#include <memory>
#include <string>

#include "sluice/base/result.hpp"
#include "sluice/base/unique_fd.hpp"
#include "sluice/link/region.hpp"
#include "sluice/link/status.hpp"

namespace sluice::controlplane {

// A shared mapping, unmapped with its owner.
template <class T>
class Mapping {
 public:
  Mapping() = default;
  explicit Mapping(T* at) : at_(at) {}
  Mapping(Mapping&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(at_, other.at_);
    return *this;
  }
  ~Mapping();
  T* get() const noexcept { return at_; }

 private:
  T* at_ = nullptr;
};

struct Connected {
  Mapping<link::Region> region;
  Mapping<const link::StatusSegment> status;
  UniqueFd wake_dataplane;
  UniqueFd woken;  // readable when the dataplane has something
};

// Connects and sends Hello; the answer is to be awaited on the descriptor.
Result<UniqueFd> connect_and_greet(const std::string& socket_path);

// Once it is readable.
Result<Connected> take_welcome(int socket);

// Hands a file to the dataplane as a base segment (link/base_messages.hpp). The caller keeps its
// own descriptor. kExhausted, retryable: the socket is full.
Status send_offer(int socket, const link::SegmentId& segment, int file);

}  // namespace sluice::controlplane
