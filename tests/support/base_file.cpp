#include "tests/support/base_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "controlplane/store/segment/phf_builder.hpp"

namespace sluice::testing {

namespace {

using index::BaseHeader;

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "base file: %s\n", what);
  std::abort();
}

}  // namespace

BaseFile::BaseFile(const HashKey& key, std::span<const BaseRoute> routes, std::uint32_t dictionary,
                   std::uint8_t number) {
  const IdHasher hasher = IdHasher::create(key);
  std::vector<Hash128> hashes;
  for (const BaseRoute& route : routes)
    hashes.push_back(hasher(route.id));
  const auto geometry = controlplane::store::phf_geometry(
      std::max<std::size_t>(hashes.size(), 1), 1, std::max<std::size_t>(hashes.size(), 1));
  require(geometry.has_value(), "too many routes");
  BaseHeader header{};
  header.magic = index::kBaseMagic;
  header.version = index::kBaseVersion;
  header.header_bytes = sizeof header;
  header.entries = routes.size();
  header.id = {number};
  header.id.back() = 1;
  header.key_check = index::base_key_check(hasher);
  header.parts = geometry->parts;
  header.buckets = geometry->buckets;
  header.slots = geometry->slots;
  header.dictionary_entries = dictionary;
  index::set_base_offsets(header);
  bytes.resize(header.total_bytes);
  store(bytes.data(), header);

  controlplane::store::PhfPartBuilder builder(*geometry);
  const auto seed =
      builder.build(hashes, {bytes.data() + header.pilots_offset, geometry->pilot_count()});
  require(seed.has_value(), "no function for these keys");
  bytes[header.seeds_offset] = *seed;
  const index::PhfView function(*geometry, bytes.data() + header.seeds_offset,
                                bytes.data() + header.pilots_offset);
  for (std::size_t i = 0; i < routes.size(); ++i) {
    index::Record::put(bytes.data() + header.records_offset +
                           std::uint64_t{function.slot(hashes[i])} * index::Record::kBytes,
                       hashes[i], routes[i].action.bits() & index::kValueMask);
  }
  seal();
}

void BaseFile::seal() {
  BaseHeader now = header();
  std::uint8_t* sums = bytes.data() + now.checksums_offset;
  for (std::uint32_t block = 0; block < now.checksum_count; ++block) {
    const std::uint64_t from = index::kBaseAlignment + block * index::kBaseBlockBytes;
    const std::uint64_t length = std::min(index::kBaseBlockBytes, now.checksums_offset - from);
    store(sums + block * 4, crc32c({bytes.data() + from, length}));
  }
  now.checksums_check = crc32c({sums, std::size_t{now.checksum_count} * 4});
  set_header(now);
  now.header_check = index::base_header_check(
      std::span<const std::uint8_t, index::kBaseAlignment>(bytes.data(), index::kBaseAlignment));
  set_header(now);
}

int BaseFile::open() const {
  const int file = ::memfd_create("base", MFD_CLOEXEC);
  require(file >= 0, "no descriptor");
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::write(file, bytes.data() + done, bytes.size() - done);
    require(wrote > 0, "no room");
    done += static_cast<std::size_t>(wrote);
  }
  return file;
}

}  // namespace sluice::testing
