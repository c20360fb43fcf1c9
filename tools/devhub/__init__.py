"""A loopback IoT Hub and workload API for the real device SDK, with faults on demand."""
