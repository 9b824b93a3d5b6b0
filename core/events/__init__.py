"""TensorBoard's event files, read at the speed of numpy.

framing    where the records of a file begin, by their lengths and the checksums of those
layout     what the bytes of one record mean: protobuf by hand, one record at a time
rows       many records of one length as a matrix; those that share a layout, by one comparison
checksum   CRC-32C of one record, and of many that differ in a few bytes
numbers    one number of each of many records
templates, rounds   records that repeat, as a matrix: framed, checked and decoded in one go
equals     files of equal size, which are expected to be cut alike, as one matrix
sections   a buffer into stretches of such rounds and what lies between them
decoding   records into tags, steps, wall times and numbers, a layout at a time
hyperparameters, payloads   what values hold that are no numbers
stretches  the numbers of such rounds into the columns of a run
reader     the files of one run into columns, and what was odd about them
"""
