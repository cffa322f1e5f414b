#include "controlplane/cli/json.hpp"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <cmath>

#include "sluice/base/ids.hpp"

namespace sluice::cli {

namespace pb = google::protobuf;

void JsonWriter::new_line() {
  if (!pretty_) return;
  text_ += '\n';
  text_.append(2 * filled_.size(), ' ');
}

void JsonWriter::before_item() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (filled_.empty()) return;
  if (filled_.back()) text_ += ',';
  filled_.back() = true;
  new_line();
}

JsonWriter& JsonWriter::raw(std::string_view text) {
  before_item();
  text_ += text;
  return *this;
}

JsonWriter& JsonWriter::open(char bracket) {
  before_item();
  text_ += bracket;
  filled_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  const bool filled = filled_.back();
  filled_.pop_back();
  if (filled) new_line();
  text_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  value(name);
  text_ += pretty_ ? ": " : ":";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return raw(quoted += '"');
}

JsonWriter& JsonWriter::value(double number) {
  return std::isfinite(number) ? raw(fmt::format("{:.9g}", number)) : null();
}

JsonWriter& JsonWriter::value(const pb::Message& message) {
  begin_object();
  fields(message);
  return end_object();
}

JsonWriter& JsonWriter::fields(const pb::Message& message) {
  const pb::Descriptor& type = *message.GetDescriptor();
  const pb::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& descriptor = *type.field(i);
    key(descriptor.name());
    if (descriptor.is_repeated()) {
      begin_array();
      for (int n = 0; n < reflection.FieldSize(message, &descriptor); ++n)
        field(message, descriptor, n);
      end_array();
    } else {
      field(message, descriptor, -1);
    }
  }
  return *this;
}

void JsonWriter::field(const pb::Message& message, const pb::FieldDescriptor& d, int index) {
  using Type = pb::FieldDescriptor::CppType;
  const pb::Reflection& r = *message.GetReflection();
  const auto get = [&](auto single, auto repeated) {
    return index < 0 ? (r.*single)(message, &d) : (r.*repeated)(message, &d, index);
  };
  switch (d.cpp_type()) {
    case Type::CPPTYPE_INT32:
      value(get(&pb::Reflection::GetInt32, &pb::Reflection::GetRepeatedInt32));
      break;
    case Type::CPPTYPE_UINT32:
      value(get(&pb::Reflection::GetUInt32, &pb::Reflection::GetRepeatedUInt32));
      break;
    case Type::CPPTYPE_INT64:
      value(get(&pb::Reflection::GetInt64, &pb::Reflection::GetRepeatedInt64));
      break;
    case Type::CPPTYPE_UINT64: {
      const std::uint64_t number =
          get(&pb::Reflection::GetUInt64, &pb::Reflection::GetRepeatedUInt64);
      // A random id of 64 bits, which readers that keep numbers as doubles would change.
      if (d.name().ends_with("instance")) {
        value(fmt::format("{:016x}", number));
      } else {
        value(number);
      }
      break;
    }
    case Type::CPPTYPE_DOUBLE:
      value(get(&pb::Reflection::GetDouble, &pb::Reflection::GetRepeatedDouble));
      break;
    case Type::CPPTYPE_FLOAT:
      value(double{get(&pb::Reflection::GetFloat, &pb::Reflection::GetRepeatedFloat)});
      break;
    case Type::CPPTYPE_BOOL:
      value(get(&pb::Reflection::GetBool, &pb::Reflection::GetRepeatedBool));
      break;
    case Type::CPPTYPE_ENUM:
      value(enum_word(get(&pb::Reflection::GetEnum, &pb::Reflection::GetRepeatedEnum)->name()));
      break;
    case Type::CPPTYPE_STRING: {
      const std::string text = get(&pb::Reflection::GetString, &pb::Reflection::GetRepeatedString);
      value(d.type() == pb::FieldDescriptor::TYPE_BYTES ? bytes_as_text(text) : text);
      break;
    }
    case Type::CPPTYPE_MESSAGE:
      if (index >= 0) {
        value(r.GetRepeatedMessage(message, &d, index));
      } else if (r.HasField(message, &d)) {
        value(r.GetMessage(message, &d));
      } else {
        null();
      }
      break;
  }
}

std::string JsonWriter::take() {
  text_ += '\n';
  filled_.clear();
  return std::move(text_);
}

std::string bytes_as_text(std::string_view bytes) {
  if (bytes.size() == sizeof(Id)) {
    Id id;
    std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
    return to_string(id);
  }
  std::string text;
  for (const char byte : bytes)
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::string enum_word(std::string_view name) {
  std::string word(name.substr(name.find('_') + 1));
  std::ranges::transform(word, word.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

}  // namespace sluice::cli
