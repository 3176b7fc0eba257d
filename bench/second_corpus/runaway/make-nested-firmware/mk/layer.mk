# A layer is built after the one below it, which is its subfolder.
OUT  := $(TOP)/build/$(VARIANT)/$(LAYER)
OBJS := $(patsubst %.c,$(OUT)/%.o,$(wildcard *.c))

all: below $(OBJS)

below:
	@$(if $(BELOW),$(MAKE) --no-print-directory -C $(BELOW))

$(OUT)/%.o: %.c
	@mkdir -p $(OUT)
	$(CC) $(FLAGS) -Wall -c -o $@ $<
.PHONY: all below
