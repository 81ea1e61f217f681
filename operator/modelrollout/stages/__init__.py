"""What a release is made of: one file per kind of stage, each of which gives its steps. Pure."""
