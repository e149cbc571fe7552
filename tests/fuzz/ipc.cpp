// Frames of a slot that has been taken over: whatever is read is written again as the same bytes.
#include "worker/pool/ipc.hpp"
#include "check.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <variant>

using namespace celeriac;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ipc::FrameReader reader;
  if (size > 0) std::memcpy(reader.prepare(size), data, size);
  reader.commit(size);
  for (auto frame = reader.next(); frame && *frame; frame = reader.next()) {
    std::string written;
    std::visit([&written](const auto& one) { ipc::encode(one, written); }, **frame);
    ipc::FrameReader again;
    std::memcpy(again.prepare(written.size()), written.data(), written.size());
    again.commit(written.size());
    const auto second = again.next();
    must(second && *second && (*second)->index() == (*frame)->index(), "what was written can be read");
  }
  return 0;
}
