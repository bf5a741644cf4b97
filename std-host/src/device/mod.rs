//! The device as a program on a PC: the same session as the firmware's.
