"""Recurrent encoders of the course: RNN, GRU and LSTM on torch.nn, and an RNN as a loop."""
