# What the caller's shell says to Python and to the libraries stays outside the jobs: it would change a result, or end a
# job that has nothing to do with it. Bash reads this before the command of every job (workflow/rules/common.smk).

# Whatever begins so. Python: another path, warnings as errors, no assertions, a prompt at the end.
outside="${!PYTHON@}"
# A notebook's window for figures, fonts and sizes; the library that draws pictures, where none is drawn.
outside+=" ${!MPLBACKEND@} ${!MATPLOTLIBRC@} ${!MUJOCO_GL@} ${!MUJOCO_EGL@} ${!PYOPENGL@}"
# How many threads, on which cores, and in which order they sum.
outside+=" ${!OMP_@} ${!GOMP_@} ${!KMP_@} ${!GOTO_@} ${!MKL_@} ${!OPENBLAS_@} ${!BLIS_@} ${!NUMEXPR_@} ${!JOBLIB_@} ${!LOKY_@}"
# Other kernels, some of less precision.
outside+=" ${!NPY_@} ${!ATEN_@} ${!DNNL_@} ${!ONEDNN_@} ${!TORCH@} ${!NVIDIA_TF32@} ${!CUBLAS_@} ${!CUDNN_@} ${!JAX_@} ${!XLA_@}"
# The libraries' own switches.
outside+=" ${!PANDAS_@} ${!SCIPY_@} ${!SKLEARN_@} ${!AG_@} ${!ORT_@} ${!HDF5_@} ${!TQDM_@}"

for name in $outside; do
    case $name in
    # Set by Snakemake, from the rule's threads.
    OMP_NUM_THREADS | GOTO_NUM_THREADS | OPENBLAS_NUM_THREADS | MKL_NUM_THREADS | NUMEXPR_NUM_THREADS) ;;
    # A network file system may need it.
    HDF5_USE_FILE_LOCKING) ;;
    *) unset "$name" ;;
    esac
done
unset outside name

# Text is UTF-8 whatever the locale; what the user has installed for every Python is not ours; sets have one order.
export LC_ALL=C PYTHONUTF8=1 PYTHONNOUSERSITE=1 PYTHONHASHSEED=0
export MPLBACKEND=agg

# Whatever has another name is the caller's to say: CUDA_VISIBLE_DEVICES, LD_LIBRARY_PATH, proxies, HOME, TMPDIR, ...
