"""Which unix sockets are connected to each other."""

import os
import socket

from linnix_ls.locate import unix_sockets


def inode(end):
    return os.fstat(end.fileno()).st_ino


def test_the_two_ends_of_a_pair_are_told_of_each_other():
    one, other = socket.socketpair()
    with one, other:
        found = unix_sockets.peers()
        assert found[inode(one)] == inode(other)
        assert found[inode(other)] == inode(one)


def test_a_socket_that_is_not_connected_has_no_peer():
    with socket.socket(socket.AF_UNIX) as alone:
        assert inode(alone) not in unix_sockets.peers()
