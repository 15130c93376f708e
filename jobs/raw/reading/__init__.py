"""From the bytes of a raw file to its rows, every cell as text: one file a time, in executors, in bounded memory."""
