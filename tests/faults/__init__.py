"""What each fault of the link, the server and the laptop costs, beside other tunnels."""
