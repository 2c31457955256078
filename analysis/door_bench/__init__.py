"""nginx, HAProxy and Carousel before the same backends under the same load; `python -m analysis.door_bench`."""
