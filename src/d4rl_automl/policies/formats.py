from typing import NamedTuple
class Format(NamedTuple):
    ending: str | None
    module: str
FORMATS = {"onnx": Format(".onnx","policies.onnx"), "xgboost": Format(".ubj","policies.forest"), "catboost": Format(".cbm","policies.forest"), "autogluon": Format(None,"policies.autogluon")}
