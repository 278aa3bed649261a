// Prints a greeting from a goroutine and a child process, and names the interfaces, which Go asks by netlink.
package main

import (
	"fmt"
	"net"
	"os/exec"
)

func main() {
	said := make(chan string)
	go func() {
		out, err := exec.Command("echo", "hello").Output()
		said <- fmt.Sprint(string(out), err)
	}()
	interfaces, err := net.Interfaces()
	fmt.Println(<-said, len(interfaces), err)
}
