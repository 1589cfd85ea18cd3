"""What the pages ask for: a module for each act. A form reads what was typed; the act decides."""
