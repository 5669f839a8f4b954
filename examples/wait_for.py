from multiprocessing import Process
from courtyard import Value
from ctypes import c_char
from time import sleep

def check(shared):
    shared.wait_for(b"my_data")
    print("process-1 got the value. exit.")

def change(shared):
    sleep(1)
    shared.value = b"my_data"
    sleep(1)
    print("process-2 set the value. exit.")

if __name__ == "__main__":
    shared = Value(c_char * 10)
    p1, p2 = Process(target=check, args=(shared,)), Process(target=change, args=(shared,))
    p1.start(); p2.start(); p1.join(); p2.join()
