// Who holds a lock file: flock keeps others away, the number in the file is for people. For the
// locks of stores and of the state folder; any thread.
#pragma once

namespace sluice::controlplane::store {

// The process that wrote its number into the file; 0 when that cannot be read, or is from before:
// who holds the file on a read-only or full disk could not write its own.
long lock_holder(int fd) noexcept;

// Writes that of this process. Where the disk takes no writes it is not there, and that must keep
// nobody away.
void sign_lock(int fd) noexcept;

}  // namespace sluice::controlplane::store
