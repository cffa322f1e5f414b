// What a command's handler works with, and the two ways of showing an answer: as text and as JSON.
// Lives as long as one command; one thread.
#pragma once

#include <string>

#include "controlplane/cli/cli.hpp"
#include "controlplane/cli/client.hpp"
#include "controlplane/cli/json.hpp"
#include "controlplane/cli/parse.hpp"
#include "controlplane/cli/text.hpp"

namespace sluice::cli {

// Standard output. After the first failure nothing is written any more.
class Output {
 public:
  explicit Output(const std::function<int(std::string_view)>& write) : write_(write) {}

  // False: it cannot be written; what only prints shall end.
  bool print(std::string_view text) {
    if (error_ == 0) error_ = write_(text);
    return error_ == 0;
  }
  int error() const noexcept { return error_; }  // errno, 0: none

 private:
  const std::function<int(std::string_view)>& write_;
  int error_ = 0;
};

struct Context {
  const Invocation& args;
  const Environment& environment;
  Output& output;
  Client& client;
  Paint paint;
  bool json = false;

  // False when standard output cannot be written: run() says so, the handler only has to end.
  bool print(std::string_view text) const { return output.print(text); }
  bool can_print() const noexcept { return output.error() == 0; }
};

// Prints an answer: as JSON with all its fields, or as `render` makes it. Passes an error on.
template <class Reply>
Outcome show(Context& c, const Result<Reply>& reply,
             std::string (*render)(const Reply&, const Paint&)) {
  if (!reply) return std::unexpected(reply.error());
  c.print(c.json ? JsonWriter().value(*reply).take() : render(*reply, c.paint));
  return kDone;
}

// A mistake of the person at the keyboard: ends with status 2.
inline std::unexpected<Error> wrong_usage(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

// "up" in green, "down" in red, others in yellow.
std::string reach_text(api::Reachability reachability, const Paint& paint);

}  // namespace sluice::cli
