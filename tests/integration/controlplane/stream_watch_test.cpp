// Streams of the API over a real unix socket, with clients that read and one that does not.
#include "controlplane/api/stream_watch.hpp"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <future>

#include "sluice.grpc.pb.h"

namespace sluice::controlplane {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLimit{300};
constexpr int kPages = 200;

// Lists agents with long names, far more than sockets and windows hold.
class Lister final : public api::Agents::Service {
 public:
  grpc::Status List(grpc::ServerContext* context, const api::ListAgentsRequest*,
                    grpc::ServerWriter<api::AgentPage>* writer) override {
    api::AgentPage page;
    page.add_agents()->set_name(std::string(100'000, 'x'));
    for (int i = 0; i < kPages; ++i) {
      if (streams_.write(*context, *writer, page)) continue;
      ended.set_value(i);
      return grpc::Status::CANCELLED;
    }
    ended.set_value(kPages);
    return grpc::Status::OK;
  }
  std::promise<int> ended;  // pages written

 private:
  StreamWatch streams_{kLimit};
};

class StreamWatchTest : public ::testing::Test {
 protected:
  StreamWatchTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(&lister_);
    server_ = builder.BuildAndStart();
    stub_ = api::Agents::NewStub(grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  }
  ~StreamWatchTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    ::unlink(path_.c_str());
  }

  const std::string path_ = ::testing::TempDir() + "watch-" + std::to_string(::getpid());
  const std::string address_ = "unix:" + path_;
  Lister lister_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<api::Agents::Stub> stub_;
};

TEST_F(StreamWatchTest, AClientThatStopsReadingLosesItsStream) {
  auto ended = lister_.ended.get_future();
  grpc::ClientContext context;
  const auto stream = stub_->List(&context, {});
  api::AgentPage page;
  ASSERT_TRUE(stream->Read(&page));
  ASSERT_EQ(ended.wait_for(std::chrono::seconds(20)), std::future_status::ready)
      << "the thread is still held";
  EXPECT_LT(ended.get(), kPages);
  while (stream->Read(&page)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(StreamWatchTest, AClientThatReadsSlowlyGetsAll) {
  auto ended = lister_.ended.get_future();
  grpc::ClientContext context;
  const auto stream = stub_->List(&context, {});
  api::AgentPage page;
  int pages = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (; stream->Read(&page); ++pages) {
    // Longer in all than the limit, which is for each message.
    std::this_thread::sleep_for(2 * kLimit / kPages);
  }
  EXPECT_GT(std::chrono::steady_clock::now() - begin, kLimit);
  EXPECT_EQ(pages, kPages);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(ended.get(), kPages);
}

}  // namespace
}  // namespace sluice::controlplane
