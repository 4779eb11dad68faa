// The poem with Go: server ADDRESS FILE LOG LINGER [LOW-WATER], as floor.c has them.
// PEM, in the environment, is a file with a key and its certificate: then it talks TLS.
package main

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const TCP_NOTSENT_LOWAT = 25

type reader interface {
	net.Conn
	CloseWrite() error
}

func main() {
	address, path, file, linger := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
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
	network := "tcp4"
	if strings.Contains(address, "/") {
		network = "unix"
	}
	var config net.ListenConfig
	if len(os.Args) > 5 {
		low, err := strconv.Atoi(os.Args[5])
		if err != nil {
			log.Fatal(err)
		}
		config.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, TCP_NOTSENT_LOWAT, low)
			})
		}
	}
	listener, err := config.Listen(context.Background(), network, address)
	if err != nil {
		log.Fatal(err)
	}
	if pem := os.Getenv("PEM"); pem != "" {
		certificate, err := tls.LoadX509KeyPair(pem, pem)
		if err != nil {
			log.Fatal(err)
		}
		listener = tls.NewListener(listener, &tls.Config{
			Certificates:           []tls.Certificate{certificate},
			SessionTicketsDisabled: true,
		})
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func(reader reader) {
			if file != "-" {
				log.Printf("sending %d bytes of poetry to %s", len(poem), reader.RemoteAddr())
			}
			reader.Write(poem)
			if linger == "1" {
				reader.CloseWrite()
				io.Copy(io.Discard, reader)
			}
			reader.Close()
		}(connection.(reader))
	}
}
