"""ua3dtalk: a talking 3D head of Gaussians from one video, driven by any audio."""

__version__ = "0.1.0"
