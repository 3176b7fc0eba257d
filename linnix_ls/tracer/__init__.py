"""Where events come from: BCC in the kernel, psutil without privilege, or a recording."""
