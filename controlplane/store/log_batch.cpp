#include "controlplane/store/log_batch.hpp"

#include <fmt/format.h>

#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::size_t kHeader = 8;
// A record of that size has its length as it is: kMaxRecordBytes is 65'535, the same number. So the
// mark is told apart by the operation: numbers carry kNumberBit.
constexpr std::uint8_t kNumberBit = 0x80;

}  // namespace
}  // namespace sluice::controlplane::store
