"""The data flow of a network: recorded, tidied, named, and arranged for drawing."""
