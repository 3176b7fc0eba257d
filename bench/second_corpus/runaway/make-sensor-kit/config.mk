# Which options does this compiler know?
cc-option = $(shell echo 'int x;' | $(CC) $(1) -x c -c -o /dev/null - 2>/dev/null && echo $(1))

CC     := gcc
CFLAGS := -O2 -I$(TOP)/include
CFLAGS += $(call cc-option,-Wimplicit-fallthrough)
CFLAGS += $(call cc-option,-fstack-clash-protection)
