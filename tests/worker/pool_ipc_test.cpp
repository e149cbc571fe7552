// Frames between pool and slots: what is written is read, what is broken is refused.
#include "worker/pool/ipc.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <random>

using namespace celeriac;

namespace {

void feed(ipc::FrameReader& reader, std::string_view bytes) {
  std::memcpy(reader.prepare(bytes.size()), bytes.data(), bytes.size());
  reader.commit(bytes.size());
}

template <class T>
T round_trip(const T& frame) {
  std::string bytes;
  ipc::encode(frame, bytes);
  ipc::FrameReader reader;
  feed(reader, bytes);
  auto read = reader.next();
  REQUIRE(read);
  REQUIRE(*read);
  REQUIRE(std::holds_alternative<T>(**read));
  std::string again;
  ipc::encode(std::get<T>(**read), again);
  CHECK(again == bytes);
  return std::get<T>(std::move(**read));
}

Job full_job() {
  auto message = std::make_shared<Message>();
  message->headers = "{\"a\": 1}";
  message->body = std::string("bytes\0with a zero", 17);
  message->properties.priority = 9;
  message->properties.reply_to = "r";
  auto headers = std::make_shared<TaskHeaders>();
  headers->protocol = Protocol::v1;
  headers->id = "id-1";
  headers->group_index = -3;
  headers->eta = 1.5;
  headers->ignore_result = true;
  headers->stamps = "{}";
  Job job;
  job.id = 1ull << 63;
  job.message = message;
  job.headers = headers;
  job.soft_limit = 0.25;
  job.acks_late = true;
  return job;
}

}  // namespace

TEST_CASE("every kind of frame comes back as it went") {
  const Job job = round_trip(full_job());
  CHECK(job.message->body.size() == 17);
  CHECK(job.message->properties.priority == 9);
  CHECK(job.headers->protocol == Protocol::v1);
  CHECK(job.headers->group_index == -3);
  CHECK_FALSE(job.headers->expires);
  ipc::Configure configure;
  configure.accept = {"application/json", "application/x-yaml"};
  configure.memory_limit = 1ull << 40;
  CHECK(round_trip(configure).accept.size() == 2);
  CHECK(round_trip(ipc::Reply{"no"}).error == "no");
  round_trip(ipc::Ready{});
  CHECK(round_trip(Started{5, 6, 7.5}).at == 7.5);
  SendRequest send;
  send.task_id = "t";
  round_trip(ipc::Asked{3, send});
  round_trip(ipc::Asked{3, StateRequest{"S", "{}"}});
  round_trip(ipc::Asked{3, LogRequest{2, "x"}});
  const auto canvas = round_trip(ipc::Asked{3, CanvasRequest{R"({"task": "t"})", "g"}});
  CHECK(std::get<CanvasRequest>(canvas.request).grow_chord == "g");
  const auto unlock = round_trip(ipc::Asked{3, UnlockRequest{"g", "{}", "[]"}});
  CHECK(std::get<UnlockRequest>(unlock.request).results == "[]");
  round_trip(ipc::Asked{3, CleanupRequest{}});
}

TEST_CASE("every outcome comes back as it went") {
  AskedRetry retry;
  retry.eta = 12.25;
  retry.next.queue = "q";
  Threw threw;
  threw.exception = {"ValueError", "builtins", "[1]"};
  threw.expected = true;
  Undecodable undecodable;
  undecodable.why = {Refusal::invalid_task, "why", "id", "task"};
  const std::vector<Outcome> outcomes = {
      Returned{"1", "{}", "[]"}, threw,       retry,          Ignored{},
      Rejected{true, "r"},       undecodable, HardTimeout{3}, Lost{9, 0, true, false}};
  for (const Outcome& outcome : outcomes) {
    Finished finished;
    finished.job = 4;
    finished.outcome = outcome;
    finished.usage = {1, 2, 3};
    CHECK(round_trip(finished).outcome.index() == outcome.index());
  }
}

TEST_CASE("frames may come in any pieces") {
  std::string bytes;
  for (JobId i = 1; i <= 5; ++i) ipc::encode(Started{i, 1, 0}, bytes);
  ipc::FrameReader reader;
  JobId last = 0;
  for (const char& byte : bytes) {
    feed(reader, {&byte, 1});
    auto frame = reader.next();
    REQUIRE(frame);
    if (*frame) CHECK(std::get<Started>(**frame).job == ++last);
  }
  CHECK(last == 5);
}

TEST_CASE("broken frames are refused") {
  std::string bytes;
  ipc::encode(ipc::Reply{"text"}, bytes);
  const auto refused = [](const std::string& broken) {
    ipc::FrameReader reader;
    feed(reader, broken);
    return !reader.next();
  };
  SUBCASE("length beyond the limit") {
    bytes.replace(0, 4, "\xff\xff\xff\xff");
    CHECK(refused(bytes));
  }
  SUBCASE("length of nothing") { CHECK(refused(std::string(4, '\0'))); }
  SUBCASE("other version") {
    bytes[4] = 2;
    CHECK(refused(bytes));
  }
  SUBCASE("unknown kind") {
    bytes[5] = 77;
    CHECK(refused(bytes));
  }
  SUBCASE("text longer than the frame") {
    bytes[6] = 100;
    CHECK(refused(bytes));
  }
  SUBCASE("bytes left over") {
    bytes[6] = 3;
    CHECK(refused(bytes));
  }
}

TEST_CASE("damage never harms the reader") {
  std::string good;
  ipc::encode(full_job(), good);
  Finished finished;
  ipc::encode(finished, good);
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    ipc::FrameReader reader;
    feed(reader, bytes);
    for (auto frame = reader.next(); frame && *frame; frame = reader.next()) {
    }
  }
}
