// SPDX-License-Identifier: Apache-2.0
// Usage: consumer MODELS_DIR. Uses another protobuf, with reflection and JSON, before and after Ashlar parses a model with its own.
#include <google/protobuf/util/json_util.h>

#include "digits.h"
#include "shelf.pb.h"

namespace {

bool use_protobuf() {
  shelf::Shelf shelf;
  shelf::Book& book = (*shelf.mutable_books())["stone"];
  book.set_title("Dressed stone");
  for (int page = 0; page < 100; ++page) book.add_pages(page);
  shelf::Shelf parsed;
  std::string json;
  return parsed.ParseFromString(shelf.SerializeAsString()) && parsed.books().at("stone").pages_size() == 100 &&
         google::protobuf::util::MessageToJsonString(parsed, &json).ok() && json.find("Dressed stone") != std::string::npos &&
         parsed.GetDescriptor()->full_name() == "shelf.Shelf";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !use_protobuf() || use_ashlar(argv[1]) != 0 || !use_protobuf()) return 1;
  google::protobuf::ShutdownProtobufLibrary();
  return use_ashlar(argv[1]);
}
