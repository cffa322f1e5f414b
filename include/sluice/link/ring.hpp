// Single-producer single-consumer ring in memory shared between the two processes. Each side keeps
// its own index privately and treats the other side's index as untrusted: a value that cannot be is
// reported as corrupt and never leads outside the array. No system calls except wake-ups, which the
// callers make (see needs_wakeup). Elements are copied in and out whole.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "sluice/base/cacheline.hpp"

namespace sluice::link {

template <class T, std::uint32_t kCapacity>
struct Ring {
  static_assert(std::is_trivially_copyable_v<T> && (kCapacity & (kCapacity - 1)) == 0);
  static constexpr std::uint32_t capacity = kCapacity;

  alignas(kCacheLineBytes) std::uint64_t head;  // count of elements ever produced
  alignas(kCacheLineBytes) std::uint64_t tail;  // count of elements ever consumed
  // 1 while the consumer sleeps or is about to: the producer then signals its eventfd.
  alignas(kCacheLineBytes) std::uint32_t consumer_waiting;
  alignas(kCacheLineBytes) T at[kCapacity];
};

template <class T, std::uint32_t kCapacity>
class RingProducer {
 public:
  explicit RingProducer(Ring<T, kCapacity>& ring) noexcept : ring_(&ring) {}

  // Free places as far as the consumer has told. False in `ok` means that the consumer's index is
  // impossible: drop the connection.
  std::uint32_t free_slots(bool& ok) noexcept {
    // Pairs with the consumer's release of tail: its copies out are done before we overwrite.
    const auto tail = std::atomic_ref(ring_->tail).load(std::memory_order_acquire);
    ok = head_ - tail <= kCapacity;
    return ok ? kCapacity - static_cast<std::uint32_t>(head_ - tail) : 0;
  }

  // Copies in as many of the n elements as fit; returns how many. 0 with ok == false: corrupt.
  std::uint32_t push(const T* elements, std::uint32_t n, bool& ok) noexcept {
    const std::uint32_t room = free_slots(ok);
    if (n > room) n = room;
    for (std::uint32_t i = 0; i < n; ++i) {
      std::memcpy(&ring_->at[(head_ + i) & (kCapacity - 1)], &elements[i], sizeof(T));
    }
    commit(n);
    return n;
  }

  // In-place form for large slots: the next free slot, to be filled and then committed with
  // commit(1).
  T* reserve(bool& ok) noexcept {
    return free_slots(ok) > 0 ? &ring_->at[head_ & (kCapacity - 1)] : nullptr;
  }
  void commit(std::uint32_t n) noexcept {
    head_ += n;
    // Pairs with the consumer's acquire of head: the elements are written before it sees the count.
    std::atomic_ref(ring_->head).store(head_, std::memory_order_release);
  }

  // After a push: true when the consumer must be woken through its eventfd.
  bool needs_wakeup() noexcept {
    // Pairs with the fence in RingConsumer::prepare_wait: either we see the flag or it sees the
    // element.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    std::atomic_ref flag(ring_->consumer_waiting);
    return flag.load(std::memory_order_relaxed) != 0 &&
           flag.exchange(0, std::memory_order_relaxed) != 0;
  }

  std::uint64_t produced() const noexcept { return head_; }

 private:
  Ring<T, kCapacity>* ring_;
  std::uint64_t head_ = 0;
};

template <class T, std::uint32_t kCapacity>
class RingConsumer {
 public:
  explicit RingConsumer(Ring<T, kCapacity>& ring) noexcept : ring_(&ring) {}

  std::uint32_t available(bool& ok) noexcept {
    // Pairs with the producer's release of head.
    const auto head = std::atomic_ref(ring_->head).load(std::memory_order_acquire);
    ok = head - tail_ <= kCapacity;
    return ok ? static_cast<std::uint32_t>(head - tail_) : 0;
  }

  // Copies out up to n elements; returns how many. 0 with ok == false: corrupt.
  std::uint32_t pop(T* out, std::uint32_t n, bool& ok) noexcept {
    const std::uint32_t ready = available(ok);
    if (n > ready) n = ready;
    for (std::uint32_t i = 0; i < n; ++i) {
      std::memcpy(&out[i], &ring_->at[(tail_ + i) & (kCapacity - 1)], sizeof(T));
    }
    release(n);
    return n;
  }

  // In-place form: the i-th unread element (i < available). The producer could still change it
  // under us if it misbehaves, so copy what is validated before using it.
  const T& peek(std::uint32_t i) const noexcept { return ring_->at[(tail_ + i) & (kCapacity - 1)]; }
  void release(std::uint32_t n) noexcept {
    tail_ += n;
    std::atomic_ref(ring_->tail).store(tail_, std::memory_order_release);
  }

  // Before sleeping: announce it, then look once more; true means "still empty, sleep now".
  bool prepare_wait() noexcept {
    std::atomic_ref(ring_->consumer_waiting).store(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    bool ok = true;
    return available(ok) == 0 && ok;
  }
  void cancel_wait() noexcept {
    std::atomic_ref(ring_->consumer_waiting).store(0, std::memory_order_relaxed);
  }

 private:
  Ring<T, kCapacity>* ring_;
  std::uint64_t tail_ = 0;
};

}  // namespace sluice::link
