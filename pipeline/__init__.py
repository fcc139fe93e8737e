"""One module per DVC stage, named as the stage, and the few things the stages share."""
