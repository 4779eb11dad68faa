// The poem with Go: server PORT FILE LOG LINGER, as floor.c has them.
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func main() {
	port, path, file, linger := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	poem, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	if file != "-" {
		output, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			log.Fatal(err)
		}
		log.SetOutput(output)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	for {
		reader, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func(reader *net.TCPConn) {
			if file != "-" {
				log.Printf("sending %d bytes of poetry to %s", len(poem), reader.RemoteAddr())
			}
			reader.Write(poem)
			if linger == "1" {
				reader.CloseWrite()
				io.Copy(io.Discard, reader)
			}
			reader.Close()
		}(reader.(*net.TCPConn))
	}
}
