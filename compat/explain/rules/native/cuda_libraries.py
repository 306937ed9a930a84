"""The libraries of CUDA and torch: which functions they define, and which distributions carry them."""

CARRIERS: tuple[tuple[str, str], ...] = (
    ("libcudart", "nvidia-cuda-runtime"),
    ("libcublas", "nvidia-cublas"),
    ("libcudnn", "nvidia-cudnn"),
    ("libcufft", "nvidia-cufft"),
    ("libcupti", "nvidia-cuda-cupti"),
    ("libcurand", "nvidia-curand"),
    ("libcusolver", "nvidia-cusolver"),
    ("libcusparseLt", "nvidia-cusparselt"),
    ("libcusparse", "nvidia-cusparse"),
    ("libnccl", "nvidia-nccl"),
    ("libnvJitLink", "nvidia-nvjitlink"),
    ("libnvrtc", "nvidia-cuda-nvrtc"),
    ("libnvshmem", "nvidia-nvshmem"),
)
"""Prefix of a library's name, and prefix of the distribution that contains it."""
FUNCTIONS: tuple[tuple[str, str], ...] = (
    ("cuda[A-Z]", "libcudart"),
    ("cublas[A-Z]", "libcublas"),
    ("cudnn[A-Z]", "libcudnn"),
    ("cufft[A-Z]", "libcufft"),
    ("curand[A-Z]", "libcurand"),
    ("cusolver[A-Z]", "libcusolver"),
    ("cusparseLt[A-Z]", "libcusparseLt"),
    ("cusparse[A-Z]", "libcusparse"),
    ("nccl[A-Z]", "libnccl"),
    ("_*nvJitLink", "libnvJitLink"),
    ("nvrtc[A-Z]", "libnvrtc"),
    ("nvshmem", "libnvshmem"),
    ("cu[A-Z]", "libcuda"),
)
"""Pattern of the start of a function's name, and prefix of the library that defines it."""
OF_TOOLKIT = ("libcudart", "libcublas", "libnvrtc", "libcupti", "libnvJitLink")
"""Libraries whose version number is that of the CUDA toolkit."""
TORCH_LIBRARIES = ("libtorch", "libc10")
DRIVER_LIBRARIES = ("libcuda.so", "libnvidia-ml.so")
