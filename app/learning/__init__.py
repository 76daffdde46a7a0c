"""What changes a detector by images: fit, extend, forget, calibrate, adapt."""
