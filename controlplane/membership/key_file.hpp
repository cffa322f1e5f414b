// What a member keeps on disk: the keys of its cluster, and its own incarnation with the peers it
// knew, so that a restart takes up where it ended. Files are replaced whole or not at all, and only
// their owner may read them. Any thread; no state.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/membership/core.hpp"
#include "controlplane/membership/key_order.hpp"
#include "controlplane/membership/keyring.hpp"
#include "sluice/base/result.hpp"

namespace sluice::membership {

// One key in base64 a line, the primary one first; lines that begin with # are comments. kNotFound:
// there is no such file.
Result<std::vector<Key>> load_keys(const std::string& path);
// The dates of orders that save_keys() wrote with them; none when it is not there or has none.
std::vector<KeyDate> load_key_dates(const std::string& path);
Status save_keys(const std::string& path, const std::vector<Key>& keys,
                 const std::vector<KeyDate>& dates = {});
// kAlreadyExists rather than replacing anything.
Status create_keys(const std::string& path, const std::vector<Key>& keys);
Result<Keyring> keyring_of(const std::vector<Key>& keys);

// Nothing saved is not an error: an empty state. A broken file is one.
Result<SavedState> load_state(const std::string& path);
// The same at start, which no broken file may prevent: what cannot be read is kept under another
// name, which a line for the log tells, and nothing is known.
inline constexpr std::string_view kAsideSuffix = ".unreadable";
SavedState load_state_or_set_aside(const std::string& path,
                                   const std::function<void(const std::string& line)>& on_log);
Status save_state(const std::string& path, const SavedState& state);

}  // namespace sluice::membership
