"""Somebody's shell: whatever it says to Python and to the libraries must not reach a job."""

from pathlib import Path

ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""Python knows no other letters, in files and their names: what a locale without UTF-8 does, on every machine."""
STRANGE = {
    **ASCII,
    "PYTHONIOENCODING": "ascii",
    **{"PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "7", "PYTHONSTARTUP": "/nowhere/start.py"},
    # A notebook's, and that of a machine with another library for pictures.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    **{"MUJOCO_GL": "nonsense", "PYOPENGL_PLATFORM": "nonsense"},
    **{"OMP_THREAD_LIMIT": "1", "OMP_DYNAMIC": "true", "KMP_AFFINITY": "compact", "MKL_THREADING_LAYER": "nonsense"},
    **{"NPY_DISABLE_CPU_FEATURES": "AVX512_SPR", "ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott"},
    **{"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "NVIDIA_TF32_OVERRIDE": "1", "CUBLAS_WORKSPACE_CONFIG": ":0:0"},
    **{"PANDAS_FUTURE_INFER_STRING": "1", "PANDAS_COPY_ON_WRITE": "1", "SCIPY_ARRAY_API": "1"},
    **{"AG_MEMORY_LIMIT_IN_GB": "0.001", "TQDM_NCOLS": "wide", "SKLEARN_ASSUME_FINITE": "1"},
    **{"HDF5_VOL_CONNECTOR": "nonsense", "HDF5_DRIVER": "nonsense", "HDF5_PLUGIN_PATH": "/nowhere"},
}
"""Variables with values that end a job, or change what it makes, where they reach it."""
RESPECTED = {
    **{"CUDA_VISIBLE_DEVICES": "3", "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "PYTORCH_CUDA_ALLOC_CONF": "backend:native"},
    **{"LD_LIBRARY_PATH": "/nowhere/lib", "https_proxy": "http://127.0.0.1:9", "TMPDIR": "/tmp"},
    **{"HDF5_USE_FILE_LOCKING": "FALSE", "MPLCONFIGDIR": "/tmp/matplotlib", "D4RL_AUTOML_MUJOCO_PY": "/nowhere/python"},
}
"""Variables that are the caller's to set."""


def environment(folder: Path) -> dict[str, str]:
    """`STRANGE`, and what it takes a folder for: packages of the names of ours, and matplotlib's settings."""
    packages = folder / "packages"
    packages.mkdir(parents=True)
    for name in ("h5py", "mujoco", "torch"):
        (packages / f"{name}.py").write_text(f"raise RuntimeError('somebody else has a {name}')\n")
    settings = folder / "matplotlibrc"
    settings.write_text("text.usetex: True\nfont.size: 40\nlines.linewidth: 9\n")
    return {**STRANGE, "PYTHONPATH": str(packages), "MATPLOTLIBRC": str(settings)}
