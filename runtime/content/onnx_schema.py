"""The messages of an ONNX graph, field by field, as `onnx.proto` (IR version 13) declares them.

`*` repeated; `text` a bounded UTF-8 string; `bytes` anything; a message's own name its message.
Fields that this table lacks are refused: a reader that knows them would do what nobody looked at.
"""

from dataclasses import dataclass
from typing import Final

from sealift.runtime.content.wire import FIXED32, FIXED64, LENGTH, VARINT

__all__ = ["SCHEMA", "Field", "Message"]

_TABLE: Final = """
ModelProto: 1 ir_version varint, 8 opset_import OperatorSetIdProto*, 2 producer_name text,
  3 producer_version text, 4 domain text, 5 model_version varint, 6 doc_string text,
  7 graph GraphProto, 14 metadata_props StringStringEntryProto*,
  20 training_info TrainingInfoProto*, 25 functions FunctionProto*,
  26 configuration DeviceConfigurationProto*
GraphProto: 1 node NodeProto*, 2 name text, 5 initializer TensorProto*,
  15 sparse_initializer SparseTensorProto*, 10 doc_string text, 11 input ValueInfoProto*,
  12 output ValueInfoProto*, 13 value_info ValueInfoProto*,
  14 quantization_annotation TensorAnnotation*, 16 metadata_props StringStringEntryProto*
NodeProto: 1 input text*, 2 output text*, 3 name text, 4 op_type text, 7 domain text,
  8 overload text, 5 attribute AttributeProto*, 6 doc_string text,
  9 metadata_props StringStringEntryProto*, 10 device_configurations NodeDeviceConfigurationProto*
AttributeProto: 1 name text, 21 ref_attr_name text, 13 doc_string text, 20 type varint,
  2 f fixed32, 3 i varint, 4 s bytes, 5 t TensorProto, 6 g GraphProto,
  22 sparse_tensor SparseTensorProto, 14 tp TypeProto, 7 floats fixed32*, 8 ints varint*,
  9 strings bytes*, 10 tensors TensorProto*, 11 graphs GraphProto*,
  23 sparse_tensors SparseTensorProto*, 15 type_protos TypeProto*
TensorProto: 1 dims varint*, 2 data_type varint, 3 segment Segment, 4 float_data fixed32*,
  5 int32_data varint*, 6 string_data bytes*, 7 int64_data varint*, 8 name text,
  12 doc_string text, 9 raw_data bytes, 13 external_data StringStringEntryProto*,
  14 data_location varint, 10 double_data fixed64*, 11 uint64_data varint*,
  16 metadata_props StringStringEntryProto*
Segment: 1 begin varint, 2 end varint
SparseTensorProto: 1 values TensorProto, 2 indices TensorProto, 3 dims varint*
FunctionProto: 1 name text, 4 input text*, 5 output text*, 6 attribute text*,
  11 attribute_proto AttributeProto*, 7 node NodeProto*, 8 doc_string text,
  9 opset_import OperatorSetIdProto*, 10 domain text, 13 overload text,
  12 value_info ValueInfoProto*, 14 metadata_props StringStringEntryProto*
TrainingInfoProto: 1 initialization GraphProto, 2 algorithm GraphProto,
  3 initialization_binding StringStringEntryProto*, 4 update_binding StringStringEntryProto*
ValueInfoProto: 1 name text, 2 type TypeProto, 3 doc_string text,
  4 metadata_props StringStringEntryProto*
OperatorSetIdProto: 1 domain text, 2 version varint
StringStringEntryProto: 1 key text, 2 value text
TensorAnnotation: 1 tensor_name text, 2 quant_parameter_tensor_names StringStringEntryProto*
TypeProto: 1 tensor_type Tensor, 4 sequence_type Sequence, 5 map_type Map,
  9 optional_type Optional, 8 sparse_tensor_type SparseTensor, 7 opaque_type Opaque,
  6 denotation text
Tensor: 1 elem_type varint, 2 shape TensorShapeProto
SparseTensor: 1 elem_type varint, 2 shape TensorShapeProto
Sequence: 1 elem_type TypeProto
Optional: 1 elem_type TypeProto
Map: 1 key_type varint, 2 value_type TypeProto
Opaque: 1 domain text, 2 name text
TensorShapeProto: 1 dim Dimension*
Dimension: 1 dim_value varint, 2 dim_param text, 3 denotation text
DeviceConfigurationProto: 1 name text, 2 num_devices varint, 3 device text*
NodeDeviceConfigurationProto: 1 configuration_id text, 2 sharding_spec ShardingSpecProto*,
  3 pipeline_stage varint
ShardingSpecProto: 1 tensor_name text, 2 device varint*,
  3 index_to_device_group_map IntIntListEntryProto*, 4 sharded_dim ShardedDimProto*
IntIntListEntryProto: 1 key varint, 2 value varint*
ShardedDimProto: 1 axis varint, 2 simple_sharding SimpleShardedDimProto*
SimpleShardedDimProto: 1 dim_value varint, 2 dim_param text, 3 num_shards varint
"""

_NUMBERS: Final = {"varint": VARINT, "fixed32": FIXED32, "fixed64": FIXED64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a message.

    Attributes:
        wires: wire types that it may have; a repeated number may also come packed.
        message: name of its message, or empty.
    """

    name: str
    wires: frozenset[int]
    repeated: bool
    is_text: bool
    message: str


Message = dict[int, Field]


def _parse(table: str) -> dict[str, Message]:
    schema: dict[str, Message] = {}
    for entry in table.strip().replace("\n  ", " ").splitlines():
        name, _, fields = entry.partition(": ")
        schema[name] = {}
        for item in fields.split(", "):
            number, field, kind = item.split()
            schema[name][int(number)] = _field(field, kind)
    return schema


def _field(name: str, kind: str) -> Field:
    base, repeated = kind.removesuffix("*"), kind.endswith("*")
    wire = _NUMBERS.get(base)
    wires = {LENGTH} if wire is None else {wire, LENGTH} if repeated else {wire}
    return Field(
        name=name,
        wires=frozenset(wires),
        repeated=repeated,
        is_text=base == "text",
        message=base if wire is None and base not in ("text", "bytes") else "",
    )


SCHEMA: Final = _parse(_TABLE)
