import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** The command line `mqadmin`, one verb at a time: it writes to the process's own output. */
final class Tools extends MQAdminStartup {
    private Tools() {
    }

    /** What the verb printed, standard output and errors together. */
    static synchronized String run(String nameServer, RPCHook hook, List<String> arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        System.setOut(both);
        System.setErr(both);
        try {
            System.setProperty("rocketmq.namesrv.addr", nameServer);
            SUB_COMMANDS.clear(); // commands keep the clients of their last run, which are shut down
            main0(arguments.toArray(new String[0]), hook);
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    /** As run, for words that were read from a line: USER and SECRET, or "-" twice, then the verb. */
    static String run(String nameServer, String[] words) {
        RPCHook hook = words[0].equals("-") ? null : SecurityCases.signed(words[0], words[1]);
        return run(nameServer, hook, Arrays.asList(words).subList(2, words.length));
    }
}
