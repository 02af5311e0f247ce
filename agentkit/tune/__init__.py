"""A failing step becomes a training job, and a job that proved itself becomes an adapter. See README.md beside this file."""
