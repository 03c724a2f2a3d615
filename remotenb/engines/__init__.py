"""Container engines: what to say to them and what their answers mean. Nothing is run here."""
