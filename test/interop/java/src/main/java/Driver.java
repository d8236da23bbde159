import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * Driver: many cases in one JVM, against any broker, at the same time. A line on standard input has words with tabs between:
 * ID CASE NAMESRV BROKER; the answer is `ID ok "…"` (what the case has to say) or `ID failed "…"`, JSON strings. The case
 * `mqadmin` takes more words: Tools.java. Ends with its input.
 */
public final class Driver {
    /** Checks by itself; fails by throwing. */
    interface Check {
        void run(Lab lab) throws Exception;
    }


    private static final Map<String, Check> CHECKS = new TreeMap<>();

    static {
        FilterCases.register(CHECKS);
        RetryCases.register(CHECKS);
        TimeCases.register(CHECKS);
        TransactionCases.register(CHECKS);
        PopCases.register(CHECKS);
        MessagingCases.register(CHECKS);
        PullCases.register(CHECKS);
        OperationCases.register(CHECKS);
        SecurityCases.register(CHECKS);
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split("\t");
            Thread thread = new Thread(() -> out.println(words[0] + " " + run(words)), words[1]);
            thread.setDaemon(true);
            thread.start();
        }
        System.exit(0);
    }

    private static String run(String[] words) {
        try {
            if (words[1].equals("mqadmin")) {
                return "ok " + Line.quote(Tools.run(words[2], Arrays.copyOfRange(words, 4, words.length)));
            }
            if (words[1].equals("stage")) {
                return "ok " + Line.quote(StageCases.stage(new Lab(words[2], words[3])));
            }
            Check check = CHECKS.get(words[1]);
            if (check == null) {
                throw new IllegalArgumentException("no such case: " + words[1]);
            }
            try (Lab lab = new Lab(words[2], words[3])) {
                check.run(lab);
            }
            return "ok \"\"";
        } catch (Throwable e) {
            StringWriter text = new StringWriter();
            e.printStackTrace(new PrintWriter(text));
            return "failed " + Line.quote(text.toString());
        }
    }
}
