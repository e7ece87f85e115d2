"""The files in configs/serving are what TensorFlow Serving and Docker Compose read."""

import pathlib

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2  # noqa: F401  (registers the types below)

FOLDER = pathlib.Path(__file__).parents[2] / "configs" / "serving"


def batching_parameters():
    """TensorFlow Serving's message of this name, which tensorflow-serving-api does not hold."""
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", package="test", syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"])
    message = file.message_type.add(name="BatchingParameters")
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, name in enumerate(
            ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches",
             "num_batch_threads"), start=1):
        message.field.add(name=name, number=number, type=kinds.TYPE_MESSAGE,
                          label=kinds.LABEL_OPTIONAL, type_name=".google.protobuf.Int64Value")
    message.field.add(name="thread_pool_name", number=5, type=kinds.TYPE_MESSAGE,
                      label=kinds.LABEL_OPTIONAL, type_name=".google.protobuf.StringValue")
    message.field.add(name="allowed_batch_sizes", number=6, type=kinds.TYPE_INT64,
                      label=kinds.LABEL_REPEATED)
    message.field.add(name="pad_variable_length_inputs", number=7, type=kinds.TYPE_BOOL,
                      label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("test.BatchingParameters"))()


def test_models_config_is_one():
    pytest.importorskip("tensorflow_serving", reason="needs the extra `serving`")
    from tensorflow_serving.config import model_server_config_pb2
    config = text_format.Parse((FOLDER / "models.config").read_text(),
                               model_server_config_pb2.ModelServerConfig())
    model, = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == (
        "ranking", "/models/ranking", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_batching_parameters_are_ones():
    text = (FOLDER / "batching_parameters.txt").read_text()
    parameters = text_format.Parse(text, batching_parameters())
    assert parameters.pad_variable_length_inputs and parameters.max_batch_size.value == 1024
    with pytest.raises(text_format.ParseError, match="no field named"):
        text_format.Parse(text + "max_size { value: 3 }", type(parameters)())


def test_compose_file_serves_what_the_client_asks_for():
    compose = yaml.safe_load((FOLDER / "docker-compose.yaml").read_text())
    serving, client = compose["services"]["serving"], compose["services"]["client"]
    mounts = dict(volume.split(":")[1::-1] for volume in serving["volumes"])
    assert (FOLDER / mounts["/config"] / "models.config").exists()
    assert (FOLDER / mounts["/models"]).resolve() == FOLDER.parents[1] / "models"
    options = [*serving["entrypoint"], *serving["command"]]
    assert {"--port=8500", "--rest_api_port=8501", "--model_config_file=/config/models.config"} <= (
        set(options))
    command = client["command"][-1]
    assert client["command"][:2] == ["sh", "-c"] and "\n" not in command
    assert "--rest=http://serving:8501 --model_name=ranking " in command
    assert client["depends_on"] == ["serving"]
