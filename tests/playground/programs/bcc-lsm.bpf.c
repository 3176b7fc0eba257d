// expect: line=2 family=programs that change what the kernel does kind=policy
LSM_PROBE(file_open, struct file *file)
{
    return -1;
}
