// The handlers that the command table names, by file. Each prints its result through the context
// and returns the exit status, or an Error that run() prints. One thread.
#pragma once

#include "controlplane/cli/command.hpp"

namespace sluice::cli {

// router_commands.cpp
Outcome status(Context& c);
Outcome version(Context& c);
// stats_commands.cpp
Outcome stats(Context& c);
Outcome drops(Context& c);
// agent_commands.cpp
Outcome agent_add(Context& c);
Outcome agent_delete(Context& c);
Outcome agent_list(Context& c);
Outcome agent_show(Context& c);
Outcome agent_resolve(Context& c);
Outcome agent_token(Context& c);
// route_commands.cpp
Outcome route_lookup(Context& c);
Outcome route_count(Context& c);
Outcome adjacency_list(Context& c);
// port_commands.cpp
Outcome port_list(Context& c);
Outcome port_show(Context& c);
Outcome neighbor_list(Context& c);
// peer_commands.cpp
Outcome peer_add(Context& c);
Outcome peer_delete(Context& c);
Outcome peer_list(Context& c);
Outcome tenant_list(Context& c);
// node_commands.cpp
Outcome node_list(Context& c);
Outcome node_show(Context& c);
Outcome node_leave(Context& c);
Outcome node_force_leave(Context& c);
// cluster_commands.cpp
Outcome cluster_init(Context& c);
Outcome cluster_join_token(Context& c);
Outcome cluster_events(Context& c);
Outcome cluster_keys(Context& c);
// config_commands.cpp
Outcome config_show(Context& c);
Outcome config_check(Context& c);
Outcome config_reload(Context& c);
// store_commands.cpp, store_tenant_commands.cpp, store_offline.cpp
Outcome store_status(Context& c);
Outcome store_verify(Context& c);
Outcome store_backup(Context& c);
Outcome store_verify_folder(Context& c);
Outcome store_restore(Context& c);
Outcome store_salvage(Context& c);
Outcome store_compact(Context& c);
Outcome store_migrate(Context& c);
Outcome store_usage(Context& c);
Outcome store_export(Context& c);
Outcome store_delete(Context& c);
Outcome store_estimate(Context& c);
// trace_command.cpp
Outcome trace(Context& c);
// ping.cpp, send.cpp, listen.cpp
Outcome ping(Context& c);
Outcome send(Context& c);
Outcome listen(Context& c);
// complete.cpp, man.cpp
Outcome completion(Context& c);
Outcome complete(Context& c);
Outcome man(Context& c);

}  // namespace sluice::cli
