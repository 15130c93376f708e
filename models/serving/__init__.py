"""The session model behind `mlflow models serve`: what a request is, and how it is answered."""
