// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <onnx/defs/schema.h>

#include "graph/graph.h"
#include "onnx/infer.h"
#include "onnx/proto.h"

namespace ashlar::onnx {

/// A body as ONNX's inference functions of control flow see it: types of its inputs in, types of its outputs out; every value in
/// the body gets its type on the way.
class BodyInferencer : public proto::GraphInferencer {
 public:
  BodyInferencer(const graph::Graph& outer, graph::Graph& body, const InferOptions& options)
      : outer_(outer), body_(body), options_(options) {}

  std::vector<const proto::TypeProto*> doInferencing(const std::vector<const proto::TypeProto*>& input_types,
                                                     const std::vector<const proto::TensorProto*>& input_data) override;

 private:
  const graph::Graph& outer_;
  graph::Graph& body_;
  const InferOptions& options_;
  std::vector<proto::TypeProto> outputs_;
};

/// A node as ONNX's inference functions see it. An input whose type is not known is given as a type without kind, and one that is
/// left out as null; constants of at most kMostElements elements are shown.
class NodeContext : public proto::InferenceContext {
 public:
  static constexpr std::int64_t kMostElements = 4096;

  NodeContext(const graph::Graph& graph, const graph::Node& node, const proto::OpSchema& schema, const InferOptions& options);

  const proto::AttributeProto* getAttribute(const std::string& name) const override;
  std::size_t getNumInputs() const override { return inputs_.size(); }
  const proto::TypeProto* getInputType(std::size_t index) const override;
  bool hasInput(std::size_t index) const override { return index < inputs_.size() && inputs_[index].id != graph::kNone; }
  const proto::TensorProto* getInputData(std::size_t index) const override;
  std::size_t getNumOutputs() const override { return outputs_.size(); }
  proto::TypeProto* getOutputType(std::size_t index) override { return index < outputs_.size() ? &outputs_[index] : &surplus_; }
  bool hasOutput(std::size_t index) override { return index < node_.outputs.size() && node_.outputs[index] != graph::kNone; }
  proto::GraphInferencer* getGraphAttributeInferencer(const std::string& name) override;
  const proto::SparseTensorProto* getInputSparseData(std::size_t) const override { return nullptr; }
  const proto::TensorShapeProto* getSymbolicInput(std::size_t) const override { return nullptr; }
  std::string getDisplayName() const override { return "node " + node_.op_type; }

  /// Whether the type of an input that is there is not known.
  bool has_unknown_input() const { return has_unknown_input_; }
  /// Infers the bodies that the operator's function did not ask for.
  void infer_remaining_bodies();

 private:
  struct Input {
    graph::ValueId id = graph::kNone;
    proto::TypeProto type;
    std::unique_ptr<proto::TensorProto> data;
    bool converted = false;
  };

  const graph::Graph& graph_;
  const graph::Node& node_;
  const InferOptions& options_;
  mutable std::vector<Input> inputs_;
  std::vector<proto::TypeProto> outputs_;
  proto::TypeProto surplus_;
  bool has_unknown_input_ = false;
  mutable std::map<std::string, proto::AttributeProto> attributes_;
  std::map<std::string, std::unique_ptr<BodyInferencer>> bodies_;
};

/// The value's tensor where it is certain, else null.
const Tensor* constant_of(const graph::Graph& graph, graph::ValueId id, const InferOptions& options);

}  // namespace ashlar::onnx
