// A member written with the memberlist library of others, for the interop tests: joins, prints what
// it sees as lines of "event name address", and obeys lines on standard input: "members", "leave",
// "say TEXT" (a user message to everybody, over UDP as far as it fits and over TCP), "add-key",
// "use-key" and "remove-key" with a key in base64.
package main

import (
	"bufio"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

type watcher struct{}

func (watcher) NotifyJoin(n *memberlist.Node)   { fmt.Println("joined", n.Name, n.Address()) }
func (watcher) NotifyLeave(n *memberlist.Node)  { fmt.Println("gone", n.Name, n.Address()) }
func (watcher) NotifyUpdate(n *memberlist.Node) { fmt.Println("updated", n.Name, n.Address()) }

// Versions and Meta as serf agents have them: members with others are refused.
type delegate struct{}

func (delegate) NodeMeta(int) []byte             { return []byte("\xff\x81\xa4kind\xa2go") }
func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}

// change does one step of a change of keys.
func change(ring *memberlist.Keyring, step, text string) error {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	switch step {
	case "add-key":
		return ring.AddKey(key)
	case "use-key":
		return ring.UseKey(key)
	default:
		return ring.RemoveKey(key)
	}
}

func main() {
	name := flag.String("name", "go", "")
	bind := flag.String("bind", "127.0.0.1", "")
	join := flag.String("join", "", "")
	key := flag.String("key", "", "base64")
	flag.Parse()

	config := memberlist.DefaultLocalConfig()
	config.Name, config.BindAddr, config.AdvertiseAddr = *name, *bind, *bind
	config.Events, config.Delegate = watcher{}, delegate{}
	config.DelegateProtocolMin, config.DelegateProtocolMax, config.DelegateProtocolVersion = 2, 5, 5
	config.PushPullInterval = 3 * time.Second
	config.LogOutput = os.Stderr
	if *key != "" {
		secret, err := base64.StdEncoding.DecodeString(*key)
		if err != nil {
			log.Fatal(err)
		}
		config.SecretKey = secret
	}
	list, err := memberlist.Create(config)
	if err != nil {
		log.Fatal(err)
	}
	if *join != "" {
		if _, err := list.Join(strings.Split(*join, ",")); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("ready")
	input := bufio.NewReader(os.Stdin)
	for {
		line, err := input.ReadString('\n')
		if err == io.EOF {
			select {} // goes on until it is killed
		}
		switch word := strings.Fields(line); {
		case len(word) == 1 && word[0] == "members":
			for _, n := range list.Members() {
				fmt.Println("member", n.Name, n.Address())
			}
			fmt.Println("end")
		case len(word) == 2 && word[0] == "say":
			for _, n := range list.Members() {
				if n.Name != *name {
					list.SendBestEffort(n, []byte(word[1]))
					list.SendReliable(n, []byte(word[1]))
				}
			}
			fmt.Println("said")
		case len(word) == 2 && strings.HasSuffix(word[0], "-key"):
			fmt.Println(word[0], change(config.Keyring, word[0], word[1]))
		case len(word) == 1 && word[0] == "leave":
			list.Leave(5 * time.Second)
			fmt.Println("left")
			return
		}
	}
}
