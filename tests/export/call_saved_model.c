/* Calls a signature of a SavedModel through TensorFlow's C API, without Python.

   call_saved_model DIRECTORY TYPE:INPUT:SHAPE ... -- OUTPUT ... < values

   TYPE is f (float32), i (int64) or s (string); INPUT and OUTPUT are tensor names such as
   serving_default_age:0, SHAPE is like 3x5. stdin holds the values of all inputs, one a line.
   Prints the values of each float32 output on a line of its own. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define MAX 64

static TF_Status *status;

static void check(const char *what) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s: %s\n", what, TF_Message(status));
  exit(1);
}

static TF_Output find(TF_Graph *graph, char *name) {
  char *colon = strrchr(name, ':');
  int index = atoi(colon + 1);
  *colon = '\0';
  TF_Output output = {TF_GraphOperationByName(graph, name), index};
  if (output.oper == NULL) {
    fprintf(stderr, "no operation %s\n", name);
    exit(1);
  }
  return output;
}

static char *next_line(char *line, size_t size) {
  if (fgets(line, (int)size, stdin) == NULL) {
    fprintf(stderr, "too few values\n");
    exit(1);
  }
  line[strcspn(line, "\n")] = '\0';
  return line;
}

static TF_Tensor *read_tensor(char type, const char *shape) {
  int64_t dims[8], count = 1;
  int num_dims = 0;
  for (const char *at = shape; at != NULL; at = strchr(at, 'x') ? strchr(at, 'x') + 1 : NULL) {
    dims[num_dims] = atoll(at);
    count *= dims[num_dims++];
  }
  TF_DataType dtype = type == 'f' ? TF_FLOAT : type == 'i' ? TF_INT64 : TF_STRING;
  size_t size = type == 'f' ? sizeof(float) : type == 'i' ? sizeof(int64_t) : sizeof(TF_TString);
  TF_Tensor *tensor = TF_AllocateTensor(dtype, dims, num_dims, (size_t)count * size);
  void *data = TF_TensorData(tensor);
  char line[1024];
  for (int64_t i = 0; i < count; ++i) {
    next_line(line, sizeof line);
    if (type == 'f') ((float *)data)[i] = strtof(line, NULL);
    if (type == 'i') ((int64_t *)data)[i] = strtoll(line, NULL, 10);
    if (type == 's') {
      TF_TString_Init(&((TF_TString *)data)[i]);
      TF_TString_Copy(&((TF_TString *)data)[i], line, strlen(line));
    }
  }
  return tensor;
}

int main(int argc, char **argv) {
  TF_Output inputs[MAX], outputs[MAX];
  TF_Tensor *values[MAX], *results[MAX];
  int num_inputs = 0, num_outputs = 0, at = 2;
  status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL,
                                                     status);
  check("load");
  for (; at < argc && strcmp(argv[at], "--") != 0; ++at) {
    char *shape = strrchr(argv[at], ':');
    *shape++ = '\0';
    values[num_inputs] = read_tensor(argv[at][0], shape);
    inputs[num_inputs++] = find(graph, argv[at] + 2);
  }
  for (++at; at < argc; ++at) outputs[num_outputs++] = find(graph, argv[at]);
  TF_SessionRun(session, NULL, inputs, values, num_inputs, outputs, results, num_outputs, NULL, 0,
                NULL, status);
  check("run");
  for (int i = 0; i < num_outputs; ++i) {
    const float *data = TF_TensorData(results[i]);
    size_t count = TF_TensorByteSize(results[i]) / sizeof(float);
    for (size_t j = 0; j < count; ++j) printf("%s%.9g", j ? " " : "", data[j]);
    printf("\n");
    TF_DeleteTensor(results[i]);
  }
  for (int i = 0; i < num_inputs; ++i) TF_DeleteTensor(values[i]);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
