"""Where findings come out: `local` runs the engine here, `remote` asks an agent, `server` is
that agent's side. `base` is the interface that consumers see."""
