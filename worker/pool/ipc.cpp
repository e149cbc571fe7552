#include "worker/pool/ipc.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

namespace celeriac::ipc {
namespace {

constexpr std::size_t kept_buffer = 1u << 20;  // one big message must not hold its memory for ever

// One list of fields per type serves both directions.
struct Writer {
  std::string& out;

  template <class... Fields>
  void operator()(const Fields&... fields) {
    (put(fields), ...);
  }
  template <class T>
  void raw(const T& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  template <class T>
  void put(const T& value);
  template <class T>
  void put(const std::optional<T>& value) {
    raw<std::uint8_t>(value.has_value());
    if (value) put(*value);
  }
  template <class T>
  void put(const std::vector<T>& values) {
    raw(static_cast<std::uint32_t>(values.size()));
    for (const T& value : values) put(value);
  }
  template <class T>
  void put(const std::shared_ptr<const T>& value) {
    put(*value);
  }
  template <class... T>
  void put(const std::variant<T...>& value) {
    raw(static_cast<std::uint8_t>(value.index()));
    std::visit([this](const auto& alternative) { put(alternative); }, value);
  }
};

struct Reader {
  std::string_view in;
  bool good = true;

  template <class... Fields>
  void operator()(Fields&... fields) {
    (get(fields), ...);
  }
  template <class T>
  T raw() {
    T value{};
    if (in.size() < sizeof value) {
      good = false;
      return value;
    }
    std::memcpy(&value, in.data(), sizeof value);
    in.remove_prefix(sizeof value);
    return value;
  }
  template <class T>
  void get(T& value);
  template <class T>
  void get(std::optional<T>& value) {
    if (raw<std::uint8_t>() != 0 && good) get(value.emplace());
  }
  template <class T>
  void get(std::vector<T>& values) {
    const auto count = raw<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && good; ++i) get(values.emplace_back());
  }
  template <class T>
  void get(std::shared_ptr<const T>& value) {
    auto made = std::make_shared<T>();
    get(*made);
    value = std::move(made);
  }
  template <std::size_t I = 0, class... T>
  void get_alternative(std::variant<T...>& value, std::size_t index) {
    if constexpr (I < sizeof...(T)) {
      if (index == I) return get(value.template emplace<I>());
      get_alternative<I + 1>(value, index);
    } else {
      good = false;
    }
  }
  template <class... T>
  void get(std::variant<T...>& value) {
    get_alternative(value, raw<std::uint8_t>());
  }
};

template <class A, class T>
concept Of = std::is_same_v<std::remove_const_t<A>, T>;

template <class A>
void fields(A& a, Of<Properties> auto& v) {
  a(v.correlation_id, v.reply_to, v.delivery_tag, v.exchange, v.routing_key, v.expiration, v.app_id,
    v.priority, v.delivery_mode, v.redelivered);
}
template <class A>
void fields(A& a, Of<Message> auto& v) {
  a(v.headers, v.body, v.content_type, v.content_encoding, v.properties);
}
template <class A>
void fields(A& a, Of<TaskHeaders> auto& v) {
  a(v.protocol, v.id, v.task, v.lang, v.shadow, v.root_id, v.parent_id, v.group, v.group_index, v.retries,
    v.eta, v.expires, v.eta_text, v.expires_text, v.time_limit, v.soft_time_limit, v.argsrepr, v.kwargsrepr,
    v.origin, v.compression, v.ignore_result, v.replaced_task_nesting, v.stamps, v.stamped_headers);
}
template <class A>
void fields(A& a, Of<Job> auto& v) {
  a(v.id, v.message, v.headers, v.queue, v.hostname, v.redelivered, v.acks_late, v.soft_limit, v.hard_limit);
}
template <class A>
void fields(A& a, Of<Outgoing> auto& v) {
  a(v.queue, v.message);
}
template <class A>
void fields(A& a, Of<ExceptionInfo> auto& v) {
  a(v.type, v.module, v.args);
}
template <class A>
void fields(A& a, Of<Refused> auto& v) {
  a(v.why, v.cause, v.task_id, v.task);
}
template <class A>
void fields(A& a, Of<Returned> auto& v) {
  a(v.result, v.embed, v.children);
}
template <class A>
void fields(A& a, Of<Threw> auto& v) {
  a(v.exception, v.traceback, v.expected, v.embed, v.children);
}
template <class A>
void fields(A& a, Of<AskedRetry> auto& v) {
  a(v.eta, v.exception, v.reason, v.traceback, v.next, v.children);
}
template <class A>
void fields(A&, Of<Ignored> auto&) {}
template <class A>
void fields(A& a, Of<Rejected> auto& v) {
  a(v.requeue, v.reason);
}
template <class A>
void fields(A& a, Of<Undecodable> auto& v) {
  a(v.why);
}
template <class A>
void fields(A& a, Of<HardTimeout> auto& v) {
  a(v.limit);
}
template <class A>
void fields(A& a, Of<Lost> auto& v) {
  a(v.signal, v.exit_code, v.out_of_memory, v.terminated);
}
template <class A>
void fields(A& a, Of<Usage> auto& v) {
  a(v.wall, v.cpu, v.peak_rss);
}
template <class A>
void fields(A& a, Of<Finished> auto& v) {
  a(v.job, v.outcome, v.usage, v.args_repr, v.kwargs_repr);
}
template <class A>
void fields(A& a, Of<Started> auto& v) {
  a(v.job, v.pid, v.at);
}
template <class A>
void fields(A& a, Of<SendRequest> auto& v) {
  a(v.outgoing, v.task_id);
}
template <class A>
void fields(A& a, Of<StateRequest> auto& v) {
  a(v.state, v.meta);
}
template <class A>
void fields(A& a, Of<LogRequest> auto& v) {
  a(v.level, v.text);
}
template <class A>
void fields(A& a, Of<CanvasRequest> auto& v) {
  a(v.signature, v.grow_chord);
}
template <class A>
void fields(A& a, Of<UnlockRequest> auto& v) {
  a(v.group_id, v.body, v.results);
}
template <class A>
void fields(A&, Of<CleanupRequest> auto&) {}
template <class A>
void fields(A& a, Of<Asked> auto& v) {
  a(v.job, v.request);
}
template <class A>
void fields(A& a, Of<Configure> auto& v) {
  a(v.accept, v.max_tasks, v.max_memory, v.memory_limit, v.stdout_level);
}
template <class A>
void fields(A& a, Of<Reply> auto& v) {
  a(v.error);
}
template <class A>
void fields(A&, Of<Ready> auto&) {}
template <class A>
void fields(A& a, Of<Recall> auto& v) {
  a(v.job);
}

template <class T>
void Writer::put(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    raw(static_cast<std::uint32_t>(value.size()));
    out += value;
  } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    raw(value);
  } else {
    fields(*this, value);
  }
}

template <class T>
void Reader::get(T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    const auto size = raw<std::uint32_t>();
    if (size > in.size()) {
      good = false;
      return;
    }
    value.assign(in.data(), size);
    in.remove_prefix(size);
  } else if constexpr (std::is_same_v<T, bool>) {
    value = raw<std::uint8_t>() != 0;
  } else if constexpr (std::is_same_v<T, Protocol>) {
    value = static_cast<Protocol>(raw<std::uint8_t>());
    good = good && (value == Protocol::v1 || value == Protocol::v2);
  } else if constexpr (std::is_same_v<T, Refusal>) {
    value = static_cast<Refusal>(raw<std::uint8_t>());
    good = good && value <= Refusal::undecodable;
  } else if constexpr (std::is_arithmetic_v<T>) {
    value = raw<T>();
  } else {
    fields(*this, value);
  }
}

template <class T>
void encode_as(std::uint8_t kind, const T& frame, std::string& out) {
  const std::size_t start = out.size();
  Writer writer{out};
  writer.raw(std::uint32_t{0});
  writer.raw(version);
  writer.raw(kind);
  writer.put(frame);
  const auto length = static_cast<std::uint32_t>(out.size() - start - sizeof(std::uint32_t));
  std::memcpy(out.data() + start, &length, sizeof length);
}

template <class T, std::size_t I = 0>
constexpr std::uint8_t kind_of() {
  if constexpr (std::is_same_v<std::variant_alternative_t<I, Frame>, T>) {
    return I;
  } else {
    return kind_of<T, I + 1>();
  }
}

}  // namespace

void encode(const Configure& frame, std::string& out) { encode_as(kind_of<Configure>(), frame, out); }
void encode(const Job& frame, std::string& out) { encode_as(kind_of<Job>(), frame, out); }
void encode(const Reply& frame, std::string& out) { encode_as(kind_of<Reply>(), frame, out); }
void encode(const Ready& frame, std::string& out) { encode_as(kind_of<Ready>(), frame, out); }
void encode(const Started& frame, std::string& out) { encode_as(kind_of<Started>(), frame, out); }
void encode(const Asked& frame, std::string& out) { encode_as(kind_of<Asked>(), frame, out); }
void encode(const Finished& frame, std::string& out) { encode_as(kind_of<Finished>(), frame, out); }
void encode(const Recall& frame, std::string& out) { encode_as(kind_of<Recall>(), frame, out); }

char* FrameReader::prepare(std::size_t size) {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (buffer_.size() > kept_buffer) buffer_ = std::string();
  }
  if (buffer_.size() - end_ < size && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < size) buffer_.resize(std::max(end_ + size, buffer_.size() * 2));
  return buffer_.data() + end_;
}

Expected<std::optional<Frame>> FrameReader::next() {
  const std::string_view bytes(buffer_.data() + begin_, end_ - begin_);
  std::uint32_t length = 0;
  if (bytes.size() < sizeof length) return std::optional<Frame>();
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length < 2 || length > max_frame) return unexpected("frame of " + std::to_string(length) + " bytes");
  if (bytes.size() - sizeof length < length) return std::optional<Frame>();
  Reader reader{bytes.substr(sizeof length, length)};
  if (const auto got = reader.raw<std::uint8_t>(); got != version)
    return unexpected("frame of version " + std::to_string(got));
  Frame frame;
  reader.get(frame);
  if (!reader.good || !reader.in.empty()) return unexpected("frame with broken fields");
  begin_ += sizeof length + length;
  return std::optional<Frame>(std::move(frame));
}

}  // namespace celeriac::ipc
