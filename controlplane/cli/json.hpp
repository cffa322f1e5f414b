// Writes JSON: by hand, or a whole API message with all its fields. Keys are the schema's own
// snake_case names, 64-bit numbers are numbers, ids are UUID text, other bytes are hexadecimal,
// enumerations are lower-case words, absent messages are null. One thread per writer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Message;
class FieldDescriptor;
class Reflection;
}  // namespace google::protobuf

namespace sluice::cli {

class JsonWriter {
 public:
  // With `pretty`, one key a line; otherwise all in one line (for streams of objects).
  explicit JsonWriter(bool pretty = true) : pretty_(pretty) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
  JsonWriter& value(std::uint64_t number) { return raw(std::to_string(number)); }
  JsonWriter& value(std::uint32_t number) { return raw(std::to_string(number)); }
  JsonWriter& value(std::int64_t number) { return raw(std::to_string(number)); }
  JsonWriter& value(std::int32_t number) { return raw(std::to_string(number)); }
  JsonWriter& value(double number);  // not a number, infinite: null
  JsonWriter& null() { return raw("null"); }
  JsonWriter& value(const google::protobuf::Message& message);
  // The fields of a message into the object that is open.
  JsonWriter& fields(const google::protobuf::Message& message);

  template <class T>
  JsonWriter& member(std::string_view name, const T& content) {
    key(name);
    return value(content);
  }
  template <class List>
  JsonWriter& list(std::string_view name, const List& items) {
    key(name).begin_array();
    for (const auto& item : items)
      value(item);
    return end_array();
  }

  // The text so far, with a line end; everything must be closed.
  std::string take();

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& raw(std::string_view text);
  void before_item();
  void new_line();
  void field(const google::protobuf::Message& message,
             const google::protobuf::FieldDescriptor& descriptor, int index);

  bool pretty_;
  bool after_key_ = false;
  std::vector<bool> filled_;  // of each open bracket: whether it holds something
  std::string text_;
};

// Bytes as people read them: a UUID for 16 of them, else hexadecimal; nothing for none.
std::string bytes_as_text(std::string_view bytes);
// "LINK_READY" -> "ready", "REACH_NO_ROUTE" -> "no_route".
std::string enum_word(std::string_view name);

}  // namespace sluice::cli
